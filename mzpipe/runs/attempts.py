"""Writes that a full or read-only disk may refuse while a run is live: told once, tried again, told when they go on.

Whatever a live run writes to its directory goes through `Attempts`. Only the journal, which has a thread of its own,
has its own way to the same end.
"""

import time
from collections.abc import Callable

from ..errors import InputOutputError
from ..runtime.attended import AttendedClock

# A refused write is due again after this long, if nothing else asks for it before: soon after there is room again, and
# rare enough to cost nothing.
RETRY_S = 30.0


class Attempts:
    """Writes of one kind; the caller keeps what is still to be written, and tries again when it `is_due`."""

    def __init__(
        self,
        what: str,
        note: Callable[[str], None],
        *,
        lost: str = "",
        patience_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`what`, in the plural, begins the lines; `lost` says what becomes of it meanwhile.

        After `patience_s` without a success, the write's error is raised. Time in which nobody asks does not count: the
        process was stopped.
        """
        self._what, self._note, self._lost, self._patience_s = what, note, lost, patience_s
        self._clock = AttendedClock(2 * RETRY_S, clock)
        self._since_s: float | None = None
        self._retry_at_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to try a refused write again."""
        return self._since_s is not None and self._clock.now_s() >= self._retry_at_s

    def make(self, write: Callable[[], object]) -> bool:
        """Returns whether the write succeeded; raises InputOutputError once the patience is at its end."""
        try:
            write()
        except InputOutputError as error:
            self._refused(error, self._clock.now_s())
            return False
        if self._since_s is not None:
            self._since_s = None
            self._note(f"{self._what} are written again")
        return True

    def _refused(self, error: InputOutputError, now_s: float) -> None:
        self._retry_at_s = now_s + RETRY_S
        if self._since_s is None:
            self._since_s = now_s
            lost = f"; {self._lost}" if self._lost else ""
            self._note(f"{error}: {self._what} are tried again until that works{lost}")
        elif now_s - self._since_s >= self._patience_s:
            raise InputOutputError(
                f"{error}: no {self._what} could be written for {(now_s - self._since_s) / 60:.0f} minutes"
            ) from error
