"""AttendedClock: counts only the time in which its process was there to see it pass.

A process may be stopped (Ctrl-Z, SIGSTOP, a container that is frozen), or its machine. Whoever waits for others with a
limit must not count that time: nobody else could use it.
"""

import math
import time
from collections.abc import Callable


class AttendedClock:
    """A monotonic clock: of the time between two looks at it, at most `most_s` count.

    So look more often than that; a look is a call of `now_s`. In the main thread only, or in one other.
    """

    def __init__(self, most_s: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_s, self._clock = most_s, clock
        self._looked_s, self._away_s = clock(), 0.0
        # How often more time passed than counts.
        self.absences = 0

    def now_s(self) -> float:
        """The present time, in seconds from any beginning."""
        now_s = self._clock()
        missed_s, self._looked_s = now_s - self._looked_s - self._most_s, now_s
        if missed_s > 0.0:
            self._miss(missed_s)
        return now_s - self._away_s

    def leave(self, away: Callable[[], object]) -> None:
        """Makes a call, of whose time nothing counts."""
        left_s = self._clock()
        away()
        self._looked_s = self._clock()
        self._miss(self._looked_s - left_s)

    def _miss(self, seconds: float) -> None:
        self._away_s += seconds
        self.absences += 1
