"""Curves: each run's mean return over env steps, all runs of a game on the same axes."""

from typing import NamedTuple

from ...pages import Axis, Frame, Mark
from ..report import GameScores, ScoreReport

FRAME = Frame(width=480.0, height=254.0, left=56.0, right=462.0, top=26.0, base=210.0)
# Styles of lines; a run beyond the last colour has the first one again, dashed.
_COLOURS, _DASHES = 6, 3


class Line(NamedTuple):
    """One run: its path, where it ends, and the classes that it is drawn in."""

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
    """One for every game."""
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
