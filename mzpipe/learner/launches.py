"""Launches: counts how long the learner's host takes to queue its steps on a GPU, and how long the GPU takes for them.

The times of a step are counted after its result was read, or that of a later one: nobody waits for them.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..ipc.counters import Counters
from ..nets.timed import TimedWork


class Launches:
    """Counts nothing on a CPU."""

    def __init__(self, device: torch.device, counters: Counters) -> None:
        self._device, self._counters = device, counters
        self._under_way: deque[TimedWork] = deque()

    @contextmanager
    def step(self) -> Iterator[None]:
        """A context in which one step is queued."""
        if self._device.type != "cuda":
            yield
            return
        work, began_s = TimedWork(self._device), time.monotonic()
        work.begin()
        yield
        work.end()
        self._under_way.append(work)
        self._counters.add("launch_time", time.monotonic() - began_s)

    def count(self) -> None:
        """Counts the steps that are over."""
        while self._under_way and self._under_way[0].is_over():
            self._counters.add("device_time", self._under_way.popleft().seconds())
