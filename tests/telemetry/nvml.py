"""A double of NVIDIA's management library: GPUs with made-up uses."""

import sys
from types import SimpleNamespace

from mzpipe.runtime import gpus as gpus_module


class Nvml:
    """What `import pynvml` gives; `percents` are the GPUs' uses, and a GPU in `lost` cannot be read any more."""

    class NVMLError(Exception):
        """The library's error."""

    def __init__(self, percents, has_driver=True, has_power=True):
        self.percents, self.has_driver, self.has_power, self.lost = list(percents), has_driver, has_power, set()

    def nvmlInit(self):
        if not self.has_driver:
            raise self.NVMLError("driver not loaded")

    def nvmlDeviceGetCount(self):
        return len(self.percents)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        place = uuid.removeprefix("GPU-")
        if not place.isdigit():
            raise self.NVMLError("not found")
        return int(place)

    def nvmlDeviceGetMemoryInfo(self, handle):
        if handle in self.lost:
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(used=(1 + handle) << 30, free=(139 - handle) << 30, total=140 << 30)

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=self.percents[handle])

    def nvmlDeviceGetPowerUsage(self, handle):
        if not self.has_power:
            raise self.NVMLError("not supported")
        return 420_000


def install(monkeypatch, machine, nvml):
    """Gives this process a machine with a GPU and this library."""
    (machine / "dev").mkdir()
    (machine / "dev" / "nvidia0").touch()
    monkeypatch.setattr(gpus_module, "_ROOT", machine)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml
