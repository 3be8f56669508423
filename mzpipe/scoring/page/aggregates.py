"""Aggregates: a card for each, with its interval, and below it what agents of 100,000 env steps have in these games."""

from typing import NamedTuple

from ...games.figures import AGENTS_100K
from ...pages import Axis, Mark
from ..aggregates import Aggregate
from ..report import ScoreReport
from ..table import between, normalised

# User units; a row is as high as its words and some air.
WIDTH, LEFT, RIGHT = 480.0, 112.0, 408.0
_TOP, _ROW, _BELOW = 8.0, 26.0, 26.0
_OURS = "these runs"
_MEANINGS = {
    "IQM": "mean of the middle half of all runs",
    "median": "over games, of each game's mean",
    "mean": "over games, of each game's mean",
    "optimality gap": "how far short of a person; less is better",
}


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
    """One aggregate; in words too."""

    name: str
    meaning: str
    value: str
    interval: str
    height: float
    base: float
    rows: list[Row]
    marks: list[Mark]


def make_cards(report: ScoreReport) -> list[AggregateCard]:
    """One for every aggregate."""
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
