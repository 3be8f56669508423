"""The GPUs of this machine as NVIDIA's management library shows them; reading them takes no context on any."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from statistics import fmean
from typing import Any, NamedTuple

from ..format import percent
from ..runtime.gpus import gpu_nodes

_GIB = 1 << 30


class GpuUse(NamedTuple):
    """One GPU, with all programs that use it."""

    # Part of the last moments in which a kernel ran.
    busy: float
    used_bytes: int
    memory_bytes: int
    # None where the card does not tell.
    watts: float | None

    def words(self) -> str:
        """A text such as "87% busy, 12.3 of 139.8 GiB, 420 W"."""
        power = "" if self.watts is None else f", {self.watts:.0f} W"
        used, memory = self.used_bytes / _GIB, self.memory_bytes / _GIB
        return f"{percent(self.busy)} busy, {used:.1f} of {memory:.1f} GiB{power}"


class GpuReader:
    """Reads every GPU by its number in nvidia-smi; there are none without the driver, a GPU or its library."""

    def __init__(self) -> None:
        self._library, self._handles = _open()

    def read(self) -> dict[str, GpuUse]:
        """The present use of every GPU; one that cannot be read is left out."""
        uses = {number: self._use(handle) for number, handle in self._handles.items()}
        return {number: use for number, use in uses.items() if use is not None}

    def _use(self, handle: Any) -> GpuUse | None:
        library = self._library
        try:
            memory, busy = library.nvmlDeviceGetMemoryInfo(handle), library.nvmlDeviceGetUtilizationRates(handle).gpu
        except library.NVMLError:  # it fell off the bus, or the driver was updated
            return None
        try:
            watts = library.nvmlDeviceGetPowerUsage(handle) / 1000.0
        except library.NVMLError:
            watts = None
        return GpuUse(busy / 100.0, int(memory.used), int(memory.total), watts)


def free_memory(uuids: Mapping[str, str]) -> dict[str, int]:
    """Bytes that are free on each of these GPUs, which are given by name with their UUIDs; those that can be read."""
    library = _library() if uuids else None
    if library is None:
        return {}
    found = {}
    for name, uuid in uuids.items():
        with suppress(library.NVMLError):
            library.nvmlInit()
            found[name] = int(library.nvmlDeviceGetMemoryInfo(library.nvmlDeviceGetHandleByUUID(uuid)).free)
    return found


def _library() -> Any:
    """The library; it is imported only where there is a GPU. None without one."""
    if not gpu_nodes():
        return None
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml


def _open() -> tuple[Any, dict[str, Any]]:
    """The library and its handles of the GPUs."""
    pynvml = _library()
    if pynvml is None:
        return None, {}
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return pynvml, {str(index): pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)}
    except pynvml.NVMLError:
        return None, {}


def mean_uses(readings: Iterable[Mapping[str, GpuUse]]) -> dict[str, GpuUse]:
    """The mean of several readings, GPU by GPU; memory is the most that was in use."""
    by_gpu: dict[str, list[GpuUse]] = {}
    for reading in readings:
        for number, use in reading.items():
            by_gpu.setdefault(number, []).append(use)
    return {number: _mean(uses) for number, uses in by_gpu.items()}


def _mean(uses: list[GpuUse]) -> GpuUse:
    watts = [use.watts for use in uses if use.watts is not None]
    return GpuUse(
        fmean(use.busy for use in uses),
        max(use.used_bytes for use in uses),
        uses[-1].memory_bytes,
        fmean(watts) if watts else None,
    )
