"""Weights in shared memory: a publisher writes versions, subscribers pull them, and no reader sees a torn one.

    | latest | stamp[3] | learner_steps[3] | env_steps[3] | buffer[3] |

V1  stamp[i] is the version in buffer i, or WRITING while it is overwritten.
V2  `latest` is the newest version. The next one is written into the buffer of the oldest, so `latest` and the
    version before it stay readable meanwhile. Versions ascend, but not always by one: a pod leaves some out.
V3  Only finite weights are ever published. They are checked once they are in the buffer, or on their way there, so a
    refused publication overwrites the oldest version's buffer, as the next version would have.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputOutputError, NotFiniteError
from . import atomics
from .copying import copy_floats
from .layout import WORDS_PER_LINE, ArrayLayout, Field

NUM_WEIGHTS_BUFFERS = 3
WRITING = -1
NO_VERSION = 0


def weights_layout(nbytes: int) -> ArrayLayout:
    """Versioned buffers of the whole model (learner -> many)."""
    return ArrayLayout(
        [
            Field("latest", "int64", (WORDS_PER_LINE,)),
            Field("stamp", "int64", (NUM_WEIGHTS_BUFFERS, WORDS_PER_LINE)),
            Field("learner_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("env_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("buffer", "uint8", (NUM_WEIGHTS_BUFFERS, nbytes)),
        ]
    )


class WeightsPublisher:
    """The learner's end. A restarted learner continues after the last version."""

    def __init__(self, segment: dict[str, np.ndarray]) -> None:
        self._segment = segment
        self.version = int(segment["latest"][0])

    def publish(self, weights: np.ndarray, *, learner_steps: int, env_steps: int, version: int | None = None) -> int:
        """Publishes a flat float32 array and returns its version: by default the next one, else a later one.

        Raises NotFiniteError when the array is not finite, InputOutputError when it is not of the segment's size.
        """
        weights = np.ascontiguousarray(weights, np.float32)
        nbytes = self._segment["buffer"].shape[1]
        if weights.nbytes != nbytes:
            raise InputOutputError(f"weights of {weights.nbytes} bytes, the segment holds {nbytes}")
        if not copy_floats(weights, self.begin()):
            raise NotFiniteError("weights are not finite")
        return self.commit(learner_steps=learner_steps, env_steps=env_steps, version=version)

    def begin(self) -> np.ndarray:
        """The flat float32 array to write the next version to, which nobody reads before commit; the writer checks that
        it is finite. It may be begun again."""
        index = self._oldest()
        # SYNC weights.overwrite release: the stamp is gone before a byte of the buffer changes
        atomics.store_ordered(self._segment["stamp"][index], 0, WRITING)
        atomics.fence()
        buffer: np.ndarray = self._segment["buffer"][index].view(np.float32)
        return buffer

    def commit(self, *, learner_steps: int, env_steps: int, version: int | None = None) -> int:
        """Publishes what was written since begin, under the next version or a later one; returns the version."""
        segment, version = self._segment, self.version + 1 if version is None else version
        index = self._oldest()
        segment["learner_steps"][index], segment["env_steps"][index] = learner_steps, env_steps
        # SYNC weights.stamp release: the whole buffer
        atomics.store_release(segment["stamp"][index], 0, version)
        # SYNC weights.publish release: the stamped buffer
        atomics.store_release(segment["latest"], 0, version)
        self.version = version
        return version

    def _oldest(self) -> int:
        """The buffer after the newest's: it has the oldest version, or what a killed publisher has left."""
        return (int(np.argmax(self._segment["stamp"][:, 0] == self.version)) + 1) % NUM_WEIGHTS_BUFFERS


class PulledWeights(NamedTuple):
    """One whole version: weights is the caller's own flat float32 array; the steps are those at publication."""

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
        """The newest version, or the given one; None when it is not there, or no longer there."""
        wanted = self.latest() if version is None else version
        while wanted != NO_VERSION:
            pulled = self._copy(wanted)
            if pulled is not None or version is not None:
                return pulled
            wanted = self.latest()  # its buffer is being overwritten, so at least two newer ones are published
        return None

    def _copy(self, version: int) -> PulledWeights | None:
        segment, stamps = self._segment, self._segment["stamp"]
        # SYNC weights.stamp acquire: the whole buffer
        found = [index for index in range(NUM_WEIGHTS_BUFFERS) if atomics.load_acquire(stamps[index], 0) == version]
        if not found:
            return None
        index = found[0]
        stamp = stamps[index]
        buffer = segment["buffer"][index].view(np.float32)
        weights = np.empty_like(buffer)
        copy_floats(buffer, weights)
        learner_steps, env_steps = (int(segment[name][index]) for name in ("learner_steps", "env_steps"))
        # SYNC weights.overwrite acquire: were the copy torn, the stamp would be gone by now
        atomics.fence()
        if atomics.load_ordered(stamp, 0) != version:
            return None
        return PulledWeights(version, learner_steps, env_steps, weights)
