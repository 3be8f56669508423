"""Turn-about timing: contestants run one after another, in several rounds, in one process.

A machine's speed drifts (clocks, neighbours, caches). Taking turns spreads the drift evenly
over all contestants, and the median over rounds ignores a disturbed round.
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
    """A function to time, and its name."""

    name: str
    call: Callable[[], object]
    # A part of the same work, for contestants whose whole call is too slow for a trial; None: the call itself.
    trial: Callable[[], object] | None = None
    # The fraction of a call that the trial does.
    trial_share: float = 1.0


class Timing(NamedTuple):
    """The time of one call."""

    # Median over the rounds.
    seconds: float
    # (slowest - fastest round) / median.
    spread: float


class Turns(NamedTuple):
    """The results of one turn-about timing."""

    timings: dict[str, Timing]
    # Seconds that one call would take, for the contestants left out because of it.
    too_slow: dict[str, float]

    def left_out(self, where: str) -> list[str]:
        """A line for each contestant that was too slow at `where`."""
        return [
            f"{name} is left out at {where}: one call would take about {seconds:.0f} s"
            for name, seconds in self.too_slow.items()
        ]


def turn_about(contestants: Sequence[Contestant], *, rounds: int, max_call_s: float = MAX_CALL_S) -> Turns:
    """Times the contestants in turns; each has a trial first, so nothing compiles on the clock."""
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
    """Median and spread of the rounds' times."""
    median = statistics.median(seconds)
    return Timing(median, (max(seconds) - min(seconds)) / median)


def _expected_s(contestant: Contestant) -> float:
    """The approximate time of one call: the second trial counts, the first one compiles and warms up."""
    trial = contestant.trial or contestant.call
    trial()
    return timeit.timeit(trial, number=1) / contestant.trial_share
