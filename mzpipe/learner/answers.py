"""Answers: sends new priorities back to the replay server, or keeps them until there is room."""

from collections import deque
from collections.abc import Callable

import numpy as np

from ..ipc.ring import Ring, RingWriter
from ..ipc.schema import Keys, Priorities


class Answers:
    """The learner's end of its priority ring; `sending` is called with the number of each answer before it leaves."""

    def __init__(self, ring: Ring[Priorities], sending: Callable[[int], None]) -> None:
        self._writer, self._sending = RingWriter(ring), sending
        self._kept: deque[Priorities] = deque()

    def has_room(self) -> bool:
        """Whether the next answer would leave at once."""
        self.send_kept()
        return not self._kept and self._writer.claim() is not None

    def send(self, keys: Keys, priority_B: np.ndarray) -> None:
        """Sends the priorities of these samples after those that are still kept."""
        self._kept.append(Priorities(Keys._make(key_B.copy() for key_B in keys), priority_B))
        self.send_kept()

    def send_kept(self) -> None:
        """Sends what there is room for."""
        while self._kept and (room := self._writer.claim()) is not None:
            answer = self._kept.popleft()
            for key_B, sampled_B in zip(room.keys, answer.keys, strict=True):
                key_B[:] = sampled_B
            room.priority_B[:] = answer.priority_B
            self._sending(self._writer.sequence)
            self._writer.commit()
