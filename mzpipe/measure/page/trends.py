"""Charts of the three headline rates over the time of the measurement, as steps above zero."""

from typing import NamedTuple

from ...format import exact, number
from ...pages import Frame, Mark, round_up
from ...telemetry.rates import RatePoint
from ...telemetry.report import ProfileReport

FRAME = Frame(width=360.0, height=150.0, left=46.0, right=340.0, top=8.0, base=126.0)
# Steps between marks on the axes, times powers of ten.
_SECONDS = (1.0, 2.0, 2.5, 5.0, 10.0)
_RATES = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


class Trend(NamedTuple):
    """One rate; `line` and `area` are paths."""

    name: str
    mean: str
    least: str
    most: str
    line: str
    area: str
    mean_y: float
    x_marks: list[Mark]
    y_marks: list[Mark]


def make_trends(report: ProfileReport) -> list[Trend]:
    """The trends of env steps, simulations and learner steps; none if there are fewer than two intervals."""
    points = report.over_time
    if len(points) < 2:
        return []
    return [
        _trend(points, name, [getattr(point.rates, field) for point in points], getattr(report, field))
        for name, field in (
            ("env steps/s", "env_steps_per_s"),
            ("simulations/s", "simulations_per_s"),
            ("learner steps/s", "learner_steps_per_s"),
        )
    ]


def _trend(points: tuple[RatePoint, ...], name: str, values: list[float], mean: float) -> Trend:
    end_s, top = points[-1].end_s, 2.0 * round_up(max([*values, mean]) / 2.0, _RATES)

    def x(seconds: float) -> float:
        return FRAME.left + (FRAME.right - FRAME.left) * seconds / end_s

    def y(value: float) -> float:
        return FRAME.base - (FRAME.base - FRAME.top) * max(value, 0.0) / top

    steps = "".join(f"V{y(value):.1f}H{x(point.end_s):.1f}" for point, value in zip(points, values, strict=True))
    x_step = round_up(end_s / 6.0, _SECONDS)
    return Trend(
        name=name,
        mean=number(mean),
        least=number(min(values)),
        most=number(max(values)),
        line=f"M{x(0.0):.1f} {y(values[0]):.1f}{steps}",
        area=f"M{x(0.0):.1f} {FRAME.base:g}{steps}V{FRAME.base:g}Z",
        mean_y=y(mean),
        x_marks=[Mark(x(step * x_step), f"{step * x_step:g} s") for step in range(int(end_s / x_step) + 1)],
        y_marks=[Mark(y(value), exact(value)) for value in (0.0, top / 2, top)],
    )
