"""Host memory from which a GPU copies while the host goes on: shared memory that is registered with its driver.

A failed registration leaves an error behind, which CUDA reports at the next kernel launch, whoever makes it. So the
failure is told here, and a launch of no use takes the error.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import numpy as np
import torch

_SUCCESS = 0
# Pinned for the contexts of all devices, not only for the one that registers it.
_PORTABLE = 1
_REASONS = {
    2: "out of memory: raise the limit of locked memory (ulimit -l)",
    712: "a part of it is registered already",
    801: "this system does not support it",
}


class Registered:
    """A range of memory that `close` unregisters; closing does nothing if its registration failed or is another's."""

    def __init__(self, array: np.ndarray, device: torch.device, *, is_ours: bool) -> None:
        # Holds the memory until it is unregistered.
        self._array, self._device, self._is_ours = array, device, is_ours

    def close(self) -> None:
        """Waits for copies that are on their way, and unregisters the range."""
        if not self._is_ours:
            return
        self._is_ours = False
        with suppress(RuntimeError), torch.cuda.device(self._device):  # a lost device has no copies to wait for
            torch.cuda.synchronize(self._device)
        if int(torch.cuda.cudart().cudaHostUnregister(self._array.ctypes.data)) != _SUCCESS:
            _take_error(self._device)

    def __enter__(self) -> "Registered":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def register(array: np.ndarray, device: torch.device, note: Callable[[str], None] = lambda line: None) -> Registered:
    """Registers a contiguous array's memory with the driver of `device`; on a CPU there is nothing to do.

    Memory that is pinned already stays its owner's. If the driver refuses, `note` gets one line, and copies from the
    array stay correct: the host waits for them.
    """
    if device.type != "cuda" or torch.from_numpy(array).is_pinned():
        return Registered(array, device, is_ours=False)
    with torch.cuda.device(device):
        code = int(torch.cuda.cudart().cudaHostRegister(array.ctypes.data, array.nbytes, _PORTABLE))
    if code != _SUCCESS:
        _take_error(device)
        reason = _REASONS.get(code, f"error {code}")
        note(f"{array.nbytes:,} bytes cannot be registered with {device} ({reason}): copies from them take longer")
    return Registered(array, device, is_ours=code == _SUCCESS)


def _take_error(device: torch.device) -> None:
    """Launches a kernel, which raises the error that the last call left and so clears it."""
    with suppress(RuntimeError):
        torch.ones(1, device=device)
