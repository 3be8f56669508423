"""A double of the part of CUDA's driver that pins memory: it refuses an overlap, and reports errors once more, late."""

from contextlib import contextmanager

import torch


class Driver:
    """Pinned ranges by their start; `latched` is raised by the next launch, `code` refuses every registration."""

    def __init__(self):
        self.ranges, self.flags, self.latched, self.code, self.device, self.calls = {}, [], 0, 0, None, []

    def cudaHostRegister(self, start, nbytes, flags):
        overlaps = any(start < first + size and first < start + nbytes for first, size in self.ranges.items())
        code = self.code or 712 * overlaps
        self.latched = code or self.latched
        if not code:
            self.ranges[start] = nbytes
            self.flags.append((self.device, flags))
        return code

    def cudaHostUnregister(self, start):
        self.calls.append("unregister")
        code = 0 if self.ranges.pop(start, 0) else 713
        self.latched = code or self.latched
        return code

    def is_pinned(self, tensor):
        return any(first <= tensor.data_ptr() < first + size for first, size in self.ranges.items())

    @contextmanager
    def current(self, device):
        former, self.device = self.device, device
        yield
        self.device = former

    def launch(self, *shape, device):
        code, self.latched = self.latched, 0
        if code:
            raise RuntimeError(f"CUDA error: {code}")


def install(monkeypatch):
    """Puts the double in place of torch's functions."""
    driver = Driver()
    monkeypatch.setattr(torch.cuda, "cudart", lambda: driver)
    monkeypatch.setattr(torch.cuda, "device", driver.current)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: driver.calls.append("synchronize"))
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: driver.is_pinned(tensor))
    monkeypatch.setattr(torch, "ones", driver.launch)
    return driver
