"""The common parts of all pages for a browser: their look, their chart frames and axes, and the template environment.

Each page extends base.html, and its own style follows base.css.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..format import count, exact, number, percent

# Round numbers, within a power of ten.
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
# The fraction of a step by which rounding may move a value off its mark.
_HAIR = 1e-9


class Frame(NamedTuple):
    """The size of a picture, and the edges of the chart in it."""

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


def round_up(value: float, steps: Sequence[float] = _STEPS) -> float:
    """The smallest step times a power of ten that is not below `value`; the steps end with 10. 1 for zero."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if step * power >= value * (1.0 - 1e-9))


class Axis:
    """An axis along an edge, from `begin` to `end` in user units; its ends are round numbers.

    It has about `num_steps` steps between marks, which are round numbers.
    """

    def __init__(self, values: Iterable[float], begin: float, end: float, num_steps: int = 4) -> None:
        """An axis that just covers all values, at least one; a single value is in the middle."""
        values = list(values)
        least, most = min(values), max(values)
        room = 0.5 * (abs(least) or 1.0) if most == least else 0.0
        step = round_up((most - least + 2.0 * room) / num_steps)
        first, last = math.floor((least - room) / step + _HAIR), math.ceil((most + room) / step - _HAIR)
        self._low, self._per_unit, self._begin = first * step, (end - begin) / ((last - first) * step), begin
        self.marks = [Mark(self.at(place * step), exact(place * step)) for place in range(first, last + 1)]

    def at(self, value: float) -> float:
        """The position of a value, in user units."""
        return self._begin + (value - self._low) * self._per_unit


def page_environment(folder: Path) -> Environment:
    """The environment for templates in `folder`, which may extend base.html; an undefined name is an error."""
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
