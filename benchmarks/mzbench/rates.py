"""The rates of contestants, and the rows that compare ours with each of the others."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .report import Comparison, Measured
from .timing import Contestant, Timing, turn_about

MZPIPE = "mzpipe"

# MB/s, or the part's own unit, by contestant.
Rates = dict[str, Measured]


class Counted(NamedTuple):
    """A contestant that is never left out, and the amount of work of one call."""

    name: str
    call: Callable[[], object]
    amount: float


def rate(name: str, amount: float, timing: Timing) -> Measured:
    """The rate of a contestant per second; `amount` is the work of one call."""
    return Measured(name, amount / timing.seconds, timing.spread)


def rates_of(every: list[Contestant], amount: float, rounds: int) -> Rates:
    """The rates of all contestants per second; `amount` is the work of one call."""
    timings = turn_about(every, rounds=rounds).timings
    return {name: rate(name, amount, timing) for name, timing in timings.items()}


def rates_of_counted(every: Sequence[Counted], rounds: int) -> Rates:
    """The rates of all contestants per second, each with its own amount."""
    contestants = [Contestant(each.name, each.call) for each in every]
    timings = turn_about(contestants, rounds=rounds, max_call_s=math.inf).timings
    return {each.name: rate(each.name, each.amount, timings[each.name]) for each in every}


def rows_of(case: str, unit: str, rates: Rates) -> list[Comparison]:
    """A row for ours against each other contestant; none if ours was too slow."""
    if MZPIPE not in rates:
        return []
    return rows_beside(case, unit, rates[MZPIPE], [rates[name] for name in rates if name != MZPIPE])


def rows_beside(case: str, unit: str, ours: Measured, references: Sequence[Measured]) -> list[Comparison]:
    """A row for ours against each reference."""
    return [Comparison(case, unit, ours, reference) for reference in references]
