"""How a pod's clock differs from the run's, from the heartbeats of their link.

    run   t0 -- Credit(t0) ----------------------------------------- Counts(t0, held, pod's time) --> t3
    pod             `--> taken ... held ... sent, at the pod's time --'

The round trip is t3 - t0 - held. The pod's time was read at some moment of the way back, so half of the round trip
bounds the error of taking the middle (Mills, RFC 5905, section 8). The best of all heartbeats stands, until the clocks
may have drifted further apart than a newer one is wrong.
"""

import math

from ..ipc.pods import Offset

# Two quartz clocks run apart by less than this, in seconds a second.
_DRIFT = 1e-4
# A machine that runs for longer than a century; offsets fit into a word.
_MOST_NS = 1 << 62


class LinkClock:
    """The offset of one pod's clock, as the run's end of the link finds it."""

    def __init__(self) -> None:
        self._best: Offset | None = None
        self._best_ns = 0

    def hear(self, now_ns: int, echo_ns: int, held_ns: int, clock_ns: int) -> Offset | None:
        """Takes in a heartbeat that comes at `now_ns`; returns what is known now.

        A heartbeat whose numbers cannot be is left out.
        """
        round_trip_ns = now_ns - echo_ns - held_ns
        if echo_ns <= 0 or held_ns < 0 or round_trip_ns <= 0 or not 0 <= clock_ns < _MOST_NS:
            return self._best
        error_ns = (round_trip_ns + 1) // 2 + math.ceil(_DRIFT * held_ns)
        found = Offset(clock_ns - (now_ns - round_trip_ns // 2), error_ns, round_trip_ns)
        if self._best is None or found.error_ns <= self._aged_ns(now_ns):
            self._best, self._best_ns = found, now_ns
        return self._best._replace(error_ns=self._aged_ns(now_ns), round_trip_ns=round_trip_ns)

    def _aged_ns(self, now_ns: int) -> int:
        assert self._best is not None
        return self._best.error_ns + math.ceil(_DRIFT * (now_ns - self._best_ns))
