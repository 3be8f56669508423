"""How long a GPU takes for what is queued on a stream: by two events around it, read once both have happened.

Where the device waits for the host in between, that counts as well: with a launch per operation, work is as long on the
device as on the host that launches it.
"""

import torch

_MS_PER_S = 1e3


class TimedWork:
    """One stretch of work at a time, on the device's current stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begun, self._ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def begin(self) -> None:
        """Says that the work is queued from here on."""
        self._begun.record(torch.cuda.current_stream(self._device))

    def end(self) -> None:
        """Says that all of it is queued."""
        self._ended.record(torch.cuda.current_stream(self._device))

    def is_over(self) -> bool:
        """Whether the device has done the work; never waits."""
        return self._ended.query()

    def wait(self) -> None:
        """Waits until the device has done the work."""
        self._ended.synchronize()

    def seconds(self) -> float:
        """How long the device took; only for work that is over."""
        return self._begun.elapsed_time(self._ended) / _MS_PER_S
