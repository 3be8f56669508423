"""Axis: round numbers to mark along the edge of a chart."""

import math
from collections.abc import Sequence


def round_up(value: float, steps: Sequence[float]) -> float:
    """The next of the steps, which end with 10, times a power of ten; 1 for zero."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if step * power >= value * (1.0 - 1e-9))
