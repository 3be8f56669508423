"""Turn-about timing: contestants run one after the other, in several rounds, in one process.

A machine's speed drifts (clocks, neighbours, caches); taking turns spreads the drift over
all contestants alike, and the median over rounds drops a round that something disturbed.
"""

import statistics
import timeit
from collections.abc import Callable, Sequence
from typing import NamedTuple

# A contestant is called again until a round of its own has lasted about this long.
ROUND_S = 0.25
# One call may not take longer than this.
MAX_CALL_S = 20.0


class Contestant(NamedTuple):
    """Something to time, and a name for it."""

    name: str
    call: Callable[[], object]
    # A part of the same work, for contestants too slow to be tried whole; None: the call itself.
    trial: Callable[[], object] | None = None
    # How much of a call the trial is.
    trial_share: float = 1.0


class Timing(NamedTuple):
    """How long one call takes."""

    # Median over the rounds.
    seconds: float
    # (slowest - fastest round) / median.
    spread: float


class Turns(NamedTuple):
    """What came of one turn-about timing."""

    timings: dict[str, Timing]
    # Seconds that one call would have taken, of those left out for it.
    too_slow: dict[str, float]

    def left_out(self, where: str) -> list[str]:
        """A line for each contestant that was too slow there."""
        return [
            f"{name} is left out at {where}: one call would take about {seconds:.0f} s"
            for name, seconds in self.too_slow.items()
        ]


def turn_about(contestants: Sequence[Contestant], *, rounds: int, max_call_s: float = MAX_CALL_S) -> Turns:
    """Times the contestants in turns; each is tried before, so nothing compiles on the clock."""
    expected_s = {contestant.name: _expected_s(contestant) for contestant in contestants}
    runners = [contestant for contestant in contestants if expected_s[contestant.name] <= max_call_s]
    laps: dict[str, list[float]] = {runner.name: [] for runner in runners}
    for _ in range(rounds):
        for runner in runners:
            calls = max(1, int(ROUND_S / expected_s[runner.name]))
            laps[runner.name].append(timeit.timeit(runner.call, number=calls) / calls)
    timings = {name: summary(seconds) for name, seconds in laps.items()}
    return Turns(timings, {name: s for name, s in expected_s.items() if name not in timings})


def summary(seconds: Sequence[float]) -> Timing:
    """Median and spread of what the rounds took."""
    median = statistics.median(seconds)
    return Timing(median, (max(seconds) - min(seconds)) / median)


def _expected_s(contestant: Contestant) -> float:
    """About how long one call takes: the second trial counts, the first one compiles and warms up."""
    trial = contestant.trial or contestant.call
    trial()
    return timeit.timeit(trial, number=1) / contestant.trial_share
