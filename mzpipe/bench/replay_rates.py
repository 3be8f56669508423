"""What the contestants of the case `replay` do in a second: measured, as rows beside mzpipe, and as a panel."""

from .report import Comparison, Measured, Panel
from .timing import Contestant, turn_about

MZPIPE, NUMPY, CPPRB, RAW = "mzpipe", "numpy", "cpprb", "raw frames"
PIECES, WHOLE = "memcpy in pieces", "memcpy in one piece"

# MB/s, or whatever a part counts, by contestant.
Rates = dict[str, Measured]


def rates_of(every: list[Contestant], amount: float, rounds: int) -> Rates:
    """What everybody does in a second; `amount` is what one call does."""
    timings = turn_about(every, rounds=rounds).timings
    return {name: Measured(name, amount / timing.seconds, timing.spread) for name, timing in timings.items()}


def rows_of(case: str, unit: str, rates: Rates) -> list[Comparison]:
    """Ours beside everybody else."""
    return [Comparison(case, unit, rates[MZPIPE], rates[name]) for name in rates if name != MZPIPE]


def panel_of(x_label: str, title: str, rates_at: dict[int, Rates]) -> Panel:
    """A line per contestant."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for x, rates in sorted(rates_at.items()):
        for name, measured in rates.items():
            lines.setdefault(name, []).append((x, measured.value))
    return Panel(title, x_label, "MB/s", lines)
