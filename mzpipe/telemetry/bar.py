"""A bar that fills the width it is given, readable without colours."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

_FULL, _HALF, _EMPTY = "━", "╸", "─"
_EMPTY_STYLE = Style(color="bright_black")


@dataclass(frozen=True)
class Bar:
    """`fraction` of a line drawn heavy, in steps of half a character."""

    fraction: float
    style: str
    min_width: int = 6

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields one row exactly as wide as the options allow."""
        width = options.max_width
        halves = int(2 * width * min(max(self.fraction, 0.0), 1.0))
        filled = _FULL * (halves // 2) + _HALF * (halves % 2)
        yield Segment(filled, console.get_style(self.style))
        yield Segment(_EMPTY * (width - len(filled)), _EMPTY_STYLE)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From `min_width` to everything there is."""
        return Measurement(min(self.min_width, options.max_width), options.max_width)
