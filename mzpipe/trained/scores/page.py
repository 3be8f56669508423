"""Renders a report as an HTML page with the templates in this folder."""

from pathlib import Path
from typing import NamedTuple

from ...games.figures import AGENTS_100K, MUZERO_20B
from ...pages import Axis, Frame, Mark, page_environment
from . import GameScores, ScoreReport
from .aggregates import Aggregate
from .table import between, normalised, spread

# User units; a row is the height of its words plus some space.
WIDTH, LEFT, RIGHT = 480.0, 112.0, 408.0
_TOP, _ROW, _BELOW = 8.0, 26.0, 26.0
_OURS = "these runs"
_MEANINGS = {
    "IQM": "mean of the middle half of all runs",
    "median": "over games, of each game's mean",
    "mean": "over games, of each game's mean",
    "optimality gap": "mean shortfall from a person; lower is better",
}
FRAME = Frame(width=480.0, height=254.0, left=56.0, right=462.0, top=26.0, base=210.0)
# Styles of lines; after the last colour, runs reuse the colours with dashes.
_COLOURS, _DASHES = 6, 3


class Row(NamedTuple):
    """One value; `low_x` and `high_x` are None where there is no interval."""

    name: str
    y: float
    x: float
    value: str
    is_ours: bool
    low_x: float | None
    high_x: float | None


class AggregateCard(NamedTuple):
    """One aggregate, as words and as a chart."""

    name: str
    meaning: str
    value: str
    interval: str
    height: float
    base: float
    rows: list[Row]
    marks: list[Mark]


def make_cards(report: ScoreReport) -> list[AggregateCard]:
    """One card for every aggregate."""
    return [_card(each, report) for each in report.aggregates]


def _card(each: Aggregate, report: ScoreReport) -> AggregateCard:
    theirs = {agent: report.published[agent] for agent in AGENTS_100K if agent in report.published}
    values = {_OURS: each.value} | {agent: one[each.name] for agent, one in theirs.items() if each.name in one}
    axis = Axis([0.0, *values.values(), *(each.interval or ())], LEFT, RIGHT, num_steps=5)
    rows = [_row(name, value, place, axis, each) for place, (name, value) in enumerate(values.items())]
    base = _TOP + len(rows) * _ROW
    return AggregateCard(
        name=each.name,
        meaning=_MEANINGS[each.name],
        value=normalised(each.value),
        interval=between(each.interval),
        height=base + _BELOW,
        base=base,
        rows=rows,
        marks=axis.marks,
    )


def _row(name: str, value: float, place: int, axis: Axis, each: Aggregate) -> Row:
    is_ours = name == _OURS
    low, high = each.interval if is_ours and each.interval else (None, None)
    return Row(
        name=name,
        y=_TOP + (place + 0.5) * _ROW,
        x=axis.at(value),
        value=normalised(value),
        is_ours=is_ours,
        low_x=None if low is None else axis.at(low),
        high_x=None if high is None else axis.at(high),
    )


class Line(NamedTuple):
    """One run: its path, the path's end, and its CSS classes."""

    run: str
    path: str
    end_x: float
    end_y: float
    style: str


class Curves(NamedTuple):
    """One game's card."""

    game: str
    lines: list[Line]
    x_marks: list[Mark]
    y_marks: list[Mark]


def make_curves(report: ScoreReport) -> list[Curves]:
    """One card of curves for every game."""
    return [_curves(game) for game in report.games]


def _curves(game: GameScores) -> Curves:
    points = [point for run in game.runs for point in run.curve]
    across = Axis([0.0, *(steps for steps, _ in points)], FRAME.left, FRAME.right, num_steps=5)
    upward = Axis([value for _, value in points], FRAME.base, FRAME.top)
    lines = [
        _line(run.name, [(across.at(steps), upward.at(value)) for steps, value in run.curve], place)
        for place, run in enumerate(game.runs)
    ]
    return Curves(game.game, lines, across.marks, upward.marks)


def _line(run: str, points: list[tuple[float, float]], place: int) -> Line:
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    style = f"c{place % _COLOURS} d{place // _COLOURS % _DASHES}"
    return Line(run, path, *points[-1], style)


def render_page(report: ScoreReport, date: str) -> str:
    """The whole page, which makes no requests; `date` is the date of the report."""
    environment = page_environment(Path(__file__).parent)
    environment.filters |= {"normalised": normalised, "between": between}
    environment.globals["spread"] = _spread
    runs = [run for game in report.games for run in game.runs]
    return environment.get_template("page.html").render(
        report=report,
        date=date,
        runs=runs,
        title=_title(report),
        protocols=list(dict.fromkeys(run.protocol for run in runs)),
        least_steps=min(run.env_steps for run in runs),
        most_steps=max(run.env_steps for run in runs),
        agents=[*AGENTS_100K, MUZERO_20B],
        curves=make_curves(report),
        curves_frame=FRAME,
        cards=make_cards(report),
        card_width=WIDTH,
        card_left=LEFT,
        card_right=RIGHT,
    )


def _spread(mean: float, std: float | None) -> str:
    """The terminal's text with a true plus-minus sign."""
    return spread(mean, std).replace("+-", "\u00b1")


def _title(report: ScoreReport) -> str:
    return report.games[0].game if len(report.games) == 1 else f"{len(report.games)} games"
