"""A link: when a packet that enters now comes out at the other end, if it does."""

import random
from dataclasses import dataclass, field


@dataclass
class Link:
    """One direction of a wire. Packets keep their order."""

    delay_ms: float = 0.0
    # The part of the packets that vanish.
    loss: float = 0.0
    # Megabits a second; 0: without bound.
    mbit: float = 0.0
    # What may wait for its turn; a packet beyond is lost, as in a router.
    queue_ms: float = 200.0
    is_cut: bool = False
    draws: random.Random = field(default_factory=lambda: random.Random(0))
    _free_s: float = 0.0
    _last_s: float = 0.0

    def carry(self, now_s: float, nbytes: int) -> float | None:
        """When a packet that enters at `now_s` comes out; None if it is lost."""
        if self.is_cut or (self.loss and self.draws.random() < self.loss):
            return None
        begin_s = max(now_s, self._free_s)
        if begin_s - now_s > self.queue_ms / 1e3:
            return None
        self._free_s = begin_s + (8e-6 * nbytes / self.mbit if self.mbit else 0.0)
        self._last_s = max(self._last_s, self._free_s + self.delay_ms / 1e3)
        return self._last_s
