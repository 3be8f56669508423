"""WaitClock: how long each of a few named waits has lasted; several may last at the same time."""

import time

from ..ipc.counters import Counters

_NS_PER_US = 1000


class WaitClock:
    """Adds the time from one lap to the next to every counter that the first of them marked."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last_us = time.monotonic_ns() // _NS_PER_US
        self._marked: set[str] = set()

    def lap(self) -> None:
        """Begins a lap."""
        now_us = time.monotonic_ns() // _NS_PER_US
        for name in self._marked:
            self._counters.add(name, now_us - self._last_us)
        self._last_us = now_us
        self._marked.clear()

    def mark(self, name: str) -> None:
        """Counts the time until the next lap into the counter `name`, in microseconds."""
        self._marked.add(name)
