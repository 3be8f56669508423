"""Publisher: writes a new weights version into shared memory so that no reader sees a torn one.

    | latest | stamp[3] | learner_steps[3] | env_steps[3] | crc[3] | buffer[3] |

V1  stamp[i] is the version in buffer i, or WRITING while it is overwritten.
V2  `latest` is the newest version; version v lies in buffer v mod 3, so `latest`
    and the version before it stay readable while the next one is written.
V3  Only finite weights are ever published. That they are not is found while they are copied, so a refused
    publication has cost the oldest version its buffer, as the next version would have.
"""

import numpy as np

from ..errors import InputOutputError, NotFiniteError
from ..ipc import atomics
from ..ipc.checksum import NOT_FINITE, copy_floats
from ..ipc.slots import NUM_WEIGHTS_BUFFERS

WRITING = -1
NO_VERSION = 0


class WeightsPublisher:
    """The learner's end. A restarted learner goes on from the last version."""

    def __init__(self, segment: dict[str, np.ndarray]) -> None:
        self._segment = segment
        self.version = int(segment["latest"][0])

    def publish(self, weights: np.ndarray, *, learner_steps: int, env_steps: int) -> int:
        """Publishes a flat float32 array and returns its version.

        Raises NotFiniteError when the array is not finite, InputOutputError when it is not of the segment's size.
        """
        segment, version = self._segment, self.version + 1
        index = version % NUM_WEIGHTS_BUFFERS
        stamp, buffer = segment["stamp"][index], segment["buffer"][index]
        weights = np.ascontiguousarray(weights, np.float32)
        if weights.nbytes != buffer.nbytes:
            raise InputOutputError(f"weights of {weights.nbytes} bytes, the segment holds {buffer.nbytes}")
        # SYNC weights.overwrite release: the stamp is gone before a byte of the buffer changes
        atomics.store_ordered(stamp, 0, WRITING)
        atomics.fence()
        crc = copy_floats(weights.ctypes.data, buffer.ctypes.data, weights.size)
        if crc == NOT_FINITE:
            raise NotFiniteError("weights are not finite")
        segment["crc"][index] = crc
        segment["learner_steps"][index], segment["env_steps"][index] = learner_steps, env_steps
        # SYNC weights.stamp release: the whole buffer
        atomics.store_release(stamp, 0, version)
        # SYNC weights.publish release: the stamped buffer
        atomics.store_release(segment["latest"], 0, version)
        self.version = version
        return version
