"""Pages: what every page for a browser shares: its look, the frames of its charts, and how templates are filled.

base.html, base.css   around and below each page's own      frame   the rectangle that a chart fills
axis                  round marks along its edges           render  the templates' environment
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..format import count, exact, number, percent


class Frame(NamedTuple):
    """The picture's size, and where its chart begins and ends."""

    width: float
    height: float
    left: float
    right: float
    top: float
    base: float


class Mark(NamedTuple):
    """A labelled place on an axis."""

    at: float
    text: str


# Round numbers, within a power of ten.
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
# Share of a step by which rounding may have moved a value that stands on a mark.
_HAIR = 1e-9


def round_up(value: float, steps: Sequence[float] = _STEPS) -> float:
    """The next of the steps, which end with 10, times a power of ten; 1 for zero."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if step * power >= value * (1.0 - 1e-9))


class Axis:
    """Values along an edge, from `begin` to `end` in user units; the ends of the axis are round numbers.

    Round numbers are marked, in about `num_steps` steps.
    """

    def __init__(self, values: Iterable[float], begin: float, end: float, num_steps: int = 4) -> None:
        """Just holds all values, of which there is at least one; a single one stands in the middle."""
        values = list(values)
        least, most = min(values), max(values)
        room = 0.5 * (abs(least) or 1.0) if most == least else 0.0
        step = round_up((most - least + 2.0 * room) / num_steps)
        first, last = math.floor((least - room) / step + _HAIR), math.ceil((most + room) / step - _HAIR)
        self._low, self._per_unit, self._begin = first * step, (end - begin) / ((last - first) * step), begin
        self.marks = [Mark(self.at(place * step), exact(place * step)) for place in range(first, last + 1)]

    def at(self, value: float) -> float:
        """Where a value stands."""
        return self._begin + (value - self._low) * self._per_unit


def page_environment(folder: Path) -> Environment:
    """For templates in `folder`, which may extend base.html; a name that nothing was given for is an error."""
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "number": number, "percent": percent}
    return environment


__all__ = ["Frame", "Mark", "page_environment"]
