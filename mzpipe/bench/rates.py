"""What contestants do in a second, and the rows in which ours stands beside everybody else."""

from .report import Comparison, Measured
from .timing import Contestant, Timing, turn_about

MZPIPE = "mzpipe"

# MB/s, or whatever a part counts, by contestant.
Rates = dict[str, Measured]


def rate(name: str, amount: float, timing: Timing) -> Measured:
    """What a contestant does in a second; `amount` is what one call does."""
    return Measured(name, amount / timing.seconds, timing.spread)


def rates_of(every: list[Contestant], amount: float, rounds: int) -> Rates:
    """What everybody does in a second; `amount` is what one call does."""
    timings = turn_about(every, rounds=rounds).timings
    return {name: rate(name, amount, timing) for name, timing in timings.items()}


def rows_of(case: str, unit: str, rates: Rates) -> list[Comparison]:
    """Ours beside everybody else; none where ours was too slow."""
    if MZPIPE not in rates:
        return []
    return [Comparison(case, unit, rates[MZPIPE], rates[name]) for name in rates if name != MZPIPE]
