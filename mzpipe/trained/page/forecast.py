"""Charts that compare the model's forecast of rewards and values with the actual ones, over unroll depth."""

from collections.abc import Sequence
from typing import NamedTuple

from ...pages import Frame, Mark, round_up
from ..inspection import Foreseen

FRAME = Frame(width=440.0, height=210.0, left=56.0, right=426.0, top=14.0, base=180.0)
_NUM_STEPS = 4


class Series(NamedTuple):
    """One line: the style, its word in the legend, and its points in user units."""

    style: str
    word: str
    points: list[tuple[float, float]]

    @property
    def line(self) -> str:
        """The `points` of a polyline."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


class Chart(NamedTuple):
    """A chart of rewards or of values."""

    name: str
    series: list[Series]
    x_marks: list[Mark]
    y_marks: list[Mark]


def make_charts(foreseen: Sequence[Foreseen]) -> list[Chart]:
    """The charts of rewards, if any move was played, and of values."""
    told = [depth for depth in foreseen if depth.reward is not None and depth.real_reward is not None]
    charts = [
        _chart(
            "values",
            {
                "foreseen": [(depth.depth, depth.value) for depth in foreseen],
                "real": [(depth.depth, depth.value_target) for depth in foreseen],
            },
        )
    ]
    if told:
        rewards = {
            "foreseen": [(depth.depth, float(depth.reward or 0.0)) for depth in told],
            "real": [(depth.depth, float(depth.real_reward or 0.0)) for depth in told],
        }
        charts.insert(0, _chart("rewards", rewards))
    return charts


def _chart(name: str, values: dict[str, list[tuple[int, float]]]) -> Chart:
    numbers = [value for points in values.values() for _, value in points]
    depths = sorted({depth for points in values.values() for depth, _ in points})
    low, step = _grid(min(numbers), max(numbers))

    def x(depth: float) -> float:
        return FRAME.left + (FRAME.right - FRAME.left) * (depth - depths[0] + 0.5) / len(depths)

    def y(value: float) -> float:
        return FRAME.base - (FRAME.base - FRAME.top) * (value - low) / (_NUM_STEPS * step)

    return Chart(
        name=name,
        series=[Series(word, word, [(x(depth), y(value)) for depth, value in pts]) for word, pts in values.items()],
        x_marks=[Mark(x(depth), str(depth)) for depth in depths],
        y_marks=[Mark(y(low + place * step), f"{low + place * step:.4g}") for place in range(_NUM_STEPS + 1)],
    )


def _grid(least: float, most: float) -> tuple[float, float]:
    """The lowest mark and the step between marks, both round, so that the marks just enclose both values."""
    step = round_up(max(most - least, 0.1 * abs(most), 1e-3) / (_NUM_STEPS - 1))
    return step * (least // step), step
