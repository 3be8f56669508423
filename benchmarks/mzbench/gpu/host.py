"""The sections `launch` and `copies`: what the host pays for a launch, and how fast copies to the card are."""

import mmap
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import torch

from mzpipe.nets import use_device
from mzpipe.nets.pinned import register
from mzpipe.runs.directory import SHARED_MEMORY

from ..timing import Contestant, turn_about
from .lines import Bound, Line, Setting

_LAUNCHES = 2_000
# A batch of profiles/atari100k.toml.
_COPIED_BYTES = 64_000_000
_LAUNCH = Bound("us", "a launch from Python on an H200's host", most=5.0, is_speed=True)
_PINNED = Bound("GB_per_s", "two thirds of PCIe 5 x16", least=40.0, is_speed=True)
_ARRIVED = Bound("changed_bytes", "what arrives is what was sent", most=0.0)
_REGISTERED = Bound("refused", "copies from rings overlap with work only where memory is registered", most=0.0)


def launches(setting: Setting) -> Iterator[Line]:
    """The time of one launch, and of one replay of a graph with one kernel."""
    use_device(setting.device, "auto")
    count, ones = setting.pick(_LAUNCHES, 20), torch.zeros(32, device=setting.device)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(setting.device)
    ones.add_(1)  # loads the kernel, which a capture refuses
    torch.cuda.synchronize(setting.device)
    with torch.cuda.graph(graph, stream=stream):
        ones.add_(1)
    found = _times(
        setting, {"launch": _repeated(lambda: ones.add_(1), count), "replay": _repeated(graph.replay, count)}
    )
    yield Line("one kernel, launched from Python", {"us": found["launch"] / count * 1e6}, (_LAUNCH,))
    yield Line("a graph of one kernel, replayed", {"us": found["replay"] / count * 1e6})


def _repeated(call: Callable[[], object], count: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(count):
            call()
        torch.cuda.synchronize()

    return repeat


def copies(setting: Setting) -> Iterator[Line]:
    """Copies of a batch's size from memory of three kinds."""
    use_device(setting.device, "auto")
    nbytes, device = setting.pick(_COPIED_BYTES, 100_000), torch.device(setting.device)
    content = np.arange(nbytes, dtype=np.uint32).view(np.uint8)[:nbytes]
    refused: list[str] = []
    with tempfile.TemporaryFile(dir=SHARED_MEMORY) as file:
        file.truncate(nbytes)
        shared = np.frombuffer(mmap.mmap(file.fileno(), nbytes), np.uint8)
        shared[:] = content
        with register(shared, device, refused.append):
            sources = {
                "pageable": torch.from_numpy(content),
                "pinned": torch.from_numpy(content).pin_memory(),
                "registered": torch.from_numpy(shared),
            }
            target = torch.empty(nbytes, dtype=torch.uint8, device=device)
            times = _times(setting, {kind: _copy(source, target) for kind, source in sources.items()})
            for kind, source in sources.items():
                _copy(source, target)()
                changed = float((target.cpu().numpy() != content).sum())
                numbers = {"GB_per_s": nbytes / times[kind] / 1e9, "changed_bytes": changed}
                if kind == "registered":
                    numbers["refused"] = float(len(refused))
                    yield Line("copy out of /dev/shm", numbers, (_PINNED, _ARRIVED, _REGISTERED), " ".join(refused))
                else:
                    bounds = (_ARRIVED,) if kind == "pageable" else (_PINNED, _ARRIVED)
                    yield Line(f"copy of {kind} memory", numbers, bounds)


def _copy(source: torch.Tensor, target: torch.Tensor) -> Callable[[], None]:
    def copy() -> None:
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize()

    return copy


def _times(setting: Setting, calls: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Seconds of one call of each, in turns."""
    every = [Contestant(name, call) for name, call in calls.items()]
    timings = turn_about(every, rounds=setting.pick(5, 1)).timings
    return {name: timing.seconds for name, timing in timings.items()}
