"""What contestants do in a second, and the rows in which ours stands beside everybody else."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .report import Comparison, Measured
from .timing import Contestant, Timing, turn_about

MZPIPE = "mzpipe"

# MB/s, or whatever a part counts, by contestant.
Rates = dict[str, Measured]


class Counted(NamedTuple):
    """Something to time that is never left out, and what one call of it does."""

    name: str
    call: Callable[[], object]
    amount: float


def rate(name: str, amount: float, timing: Timing) -> Measured:
    """What a contestant does in a second; `amount` is what one call does."""
    return Measured(name, amount / timing.seconds, timing.spread)


def rates_of(every: list[Contestant], amount: float, rounds: int) -> Rates:
    """What everybody does in a second; `amount` is what one call does."""
    timings = turn_about(every, rounds=rounds).timings
    return {name: rate(name, amount, timing) for name, timing in timings.items()}


def rates_of_counted(every: Sequence[Counted], rounds: int) -> Rates:
    """What everybody does in a second, each by its own amount."""
    contestants = [Contestant(each.name, each.call) for each in every]
    timings = turn_about(contestants, rounds=rounds, max_call_s=math.inf).timings
    return {each.name: rate(each.name, each.amount, timings[each.name]) for each in every}


def rows_of(case: str, unit: str, rates: Rates) -> list[Comparison]:
    """Ours beside everybody else; none where ours was too slow."""
    if MZPIPE not in rates:
        return []
    return rows_beside(case, unit, rates[MZPIPE], [rates[name] for name in rates if name != MZPIPE])


def rows_beside(case: str, unit: str, ours: Measured, references: Sequence[Measured]) -> list[Comparison]:
    """A row per reference."""
    return [Comparison(case, unit, ours, reference) for reference in references]
