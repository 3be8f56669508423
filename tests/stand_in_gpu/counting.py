"""What was asked of the stand-in GPU, in a part of a test or by the processes of a command."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# In the order of device/counts.h, which says what each counts.
NAMES = (
    *("launches", "captured", "replays", "h2d_blocking", "h2d_pageable", "h2d_async", "d2h_blocking", "d2h_async"),
    *("syncs", "event_queries", "event_waits", "allocations"),
)


class Counts:
    """A number for each of NAMES; `by_name` has launches and syncs by what they were."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    def __getattr__(self, name: str) -> int:
        if name not in NAMES:
            raise AttributeError(name)
        return self.by_name.get(name, 0)

    def __repr__(self) -> str:
        return f"Counts({self.by_name})"

    def as_dict(self) -> dict[str, int]:
        """The numbers without what they were."""
        return {name: getattr(self, name) for name in NAMES}


@contextmanager
def counted() -> Iterator[Counts]:
    """Counts what the block asks of the device; the numbers are there when it ends."""
    import torch

    seen, before = Counts(), dict(torch.ops.stand_in_gpu.counted())
    yield seen
    after = dict(torch.ops.stand_in_gpu.counted())
    seen.by_name = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


def read_report(directory: Path) -> dict[str, Counts]:
    """The counts of every process of a command, by its role and index, or by its module; of the same name, the sum."""
    found: dict[str, Counts] = {}
    for path in sorted(directory.iterdir()):
        counts = found.setdefault(path.name.partition("-")[2], Counts())
        numbers = struct.unpack(f"{len(NAMES)}q", path.read_bytes())
        for name, number in zip(NAMES, numbers, strict=True):
            counts.by_name[name] = counts.by_name.get(name, 0) + number
    return found
