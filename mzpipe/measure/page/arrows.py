"""Arrows: right-angled lines from edge to edge with labels; their width is the logarithm of the rate."""

import math
from typing import NamedTuple

Point = tuple[float, float]

_LEAST_WIDTH, _PER_DECADE, _GREATEST_WIDTH = 1.5, 1.7, 14.0
# The distance between base lines, the height of capitals, and the distance from there to an arrow.
_LINE, _CAPITALS, _CLEARANCE = 14.0, 9.0, 6.0


class Label(NamedTuple):
    """Lines of text; (x, y) is on the first one's base line, and `anchor` is as in SVG."""

    x: float
    y: float
    anchor: str
    lines: tuple[str, ...]
    # The distance from each base line to the next; the first line is at y.
    steps: tuple[float, ...] = (0.0, _LINE, _LINE)


class Arrow(NamedTuple):
    """A shaft, as a path, and a head at one end or at both, as polygons."""

    title: str
    shaft: str
    heads: list[str]
    width: float
    is_idle: bool
    label: Label


def width_of(rate: float) -> float:
    """The width of the shaft: it grows by a fixed amount for every factor of ten."""
    return min(_GREATEST_WIDTH, _LEAST_WIDTH + _PER_DECADE * math.log10(1.0 + max(rate, 0.0)))


def make_arrow(title: str, rate: float, points: list[Point], label: Label, *, is_two_way: bool) -> Arrow:
    """An arrow whose tips are on the first and the last point."""
    width = width_of(rate)
    length, half = _head_size(width)
    shaft, heads = list(points), [_head(points[-2], points[-1], length, half)]
    shaft[-1] = _before(points[-2], points[-1], length)
    if is_two_way:
        heads.append(_head(points[1], points[0], length, half))
        shaft[0] = _before(points[1], points[0], length)
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in shaft)
    return Arrow(title, path, heads, width, rate <= 0.0, label)


def beside(x: float, y: float, anchor: str, rate: float, lines: tuple[str, ...]) -> Label:
    """A label to the right of a vertical arrow at x, or to its left if anchor is "end"."""
    clear = _head_size(width_of(rate))[1] + _CLEARANCE
    return Label(x - clear if anchor == "end" else x + clear, y, anchor, lines)


def around(x: float, y: float, rate: float, lines: tuple[str, ...]) -> Label:
    """A label around the middle of a horizontal arrow: the first line is above it, the others below."""
    clear = width_of(rate) / 2 + _CLEARANCE
    return Label(x, y - clear, "middle", lines, (0.0, 2 * clear + _CAPITALS, _LINE))


def _head_size(width: float) -> tuple[float, float]:
    """(length, half of the width) of a shaft's head."""
    return 6.0 + 0.9 * width, 3.5 + 0.75 * width


def _head(begin: Point, tip: Point, length: float, half: float) -> str:
    base = _before(begin, tip, length)
    across = (tip[1] - base[1]) / length * half, (base[0] - tip[0]) / length * half
    corners = (tip, (base[0] + across[0], base[1] + across[1]), (base[0] - across[0], base[1] - across[1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _before(begin: Point, tip: Point, length: float) -> Point:
    """The point this far before the tip, slightly inside the head so that no gap shows."""
    distance = math.dist(begin, tip)
    return (
        tip[0] - (tip[0] - begin[0]) / distance * length,
        tip[1] - (tip[1] - begin[1]) / distance * length,
    )
