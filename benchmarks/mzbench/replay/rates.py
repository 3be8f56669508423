"""The contestants of the case `replay` by name, and their rates as a panel."""

from ..rates import Rates
from ..report import Panel

NUMPY, CPPRB, RAW = "numpy", "cpprb", "raw frames"
PIECES, WHOLE = "memcpy in pieces", "memcpy in one piece"
STACKS = "whole stacks"


def panel_of(x_label: str, title: str, rates_at: dict[int, Rates]) -> Panel:
    """A line per contestant."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for x, rates in sorted(rates_at.items()):
        for name, measured in rates.items():
            lines.setdefault(name, []).append((x, measured.value))
    return Panel(title, x_label, "MB/s", lines)
