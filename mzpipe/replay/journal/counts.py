"""The journal's counts, and its lines for the user.

The owner's thread and the writer's thread each add to their own fields, so no count needs a lock.
"""

from collections import deque
from dataclasses import dataclass, field

from .manifest import NONE


@dataclass
class Counts:
    """Transitions, serials and bytes; an appended transition ends up in exactly one of written and dropped."""

    refused_transitions: int = 0  # by the owner's thread: queue full or journal suspended
    lost_transitions: int = 0  # by the writer's thread: queued, but not on disk
    written_transitions: int = 0  # on disk for certain
    durable_serial: int = NONE  # the newest one on disk for certain
    lines: deque[str] = field(default_factory=deque)

    @property
    def dropped_transitions(self) -> int:
        """Appended transitions that are not in the journal."""
        return self.refused_transitions + self.lost_transitions


class Outage:
    """Writes one line when trouble begins and one when it is over, however often it is reported in between."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._dropped_before: int | None = None

    @property
    def ongoing(self) -> bool:
        """Whether the trouble has begun and is not over."""
        return self._dropped_before is not None

    def begin(self, line: str) -> None:
        """Reports trouble; call it before the first dropped record is counted."""
        if self._dropped_before is None:
            self._dropped_before = self._counts.dropped_transitions
            self._counts.lines.append(line)

    def end(self, line: str) -> None:
        """Reports the end of the trouble; `{missing}` in the line becomes the transitions dropped since begin()."""
        if self._dropped_before is not None:
            missing = self._counts.dropped_transitions - self._dropped_before
            self._dropped_before = None
            self._counts.lines.append(line.format(missing=missing))
