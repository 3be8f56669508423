"""Subscriber: pulls a whole weights version out of shared memory, or nothing."""

from typing import NamedTuple

import numpy as np

from ..errors import InputOutputError
from ..ipc import atomics
from ..ipc.checksum import copy_floats
from ..ipc.slots import NUM_WEIGHTS_BUFFERS
from .publisher import NO_VERSION


class PulledWeights(NamedTuple):
    """One version, whole: weights is the caller's own flat float32 array; the steps are those at publication."""

    version: int
    learner_steps: int
    env_steps: int
    weights: np.ndarray


class WeightsSubscriber:
    """A reader of the weights segment; any number may read."""

    def __init__(self, segment: dict[str, np.ndarray]) -> None:
        self._segment = segment

    def latest(self) -> int:
        """Newest published version; 0 before the first."""
        # SYNC weights.publish acquire: the stamped buffer
        return atomics.load_acquire(self._segment["latest"], 0)

    def pull(self, version: int | None = None) -> PulledWeights | None:
        """The newest version, or the given one; None when it is not (or no longer) there.

        Raises InputOutputError when a whole buffer does not have its checksum.
        """
        wanted = self.latest() if version is None else version
        while wanted != NO_VERSION:
            pulled = self._copy(wanted)
            if pulled is not None or version is not None:
                return pulled
            wanted = self.latest()  # overwritten while it was copied: three versions newer now
        return None

    def _copy(self, version: int) -> PulledWeights | None:
        segment, index = self._segment, version % NUM_WEIGHTS_BUFFERS
        stamp = segment["stamp"][index]
        # SYNC weights.stamp acquire: the whole buffer
        if atomics.load_acquire(stamp, 0) != version:
            return None
        buffer = segment["buffer"][index]
        weights = np.empty(buffer.nbytes // 4, np.float32)
        found = copy_floats(buffer.ctypes.data, weights.ctypes.data, weights.size)
        crc, learner_steps, env_steps = (int(segment[name][index]) for name in ("crc", "learner_steps", "env_steps"))
        # SYNC weights.overwrite acquire: were the copy torn, the stamp would be gone by now
        atomics.fence()
        if atomics.load_ordered(stamp, 0) != version:
            return None
        if found != crc:
            raise InputOutputError(f"weights version {version}: checksum of buffer {index} does not match")
        return PulledWeights(version, learner_steps, env_steps, weights)
