"""Tables of a report, for a terminal of 80 columns."""

from rich.markup import escape
from rich.table import Table

from ...format import count, number
from ...games.figures import AGENTS_100K
from . import GameScores, Run, ScoreReport
from .aggregates import Interval

_HEADERS = {"EfficientZero": "Efficient\nZero"}


def games_table(report: ScoreReport) -> Table:
    """One row per game: its runs' mean, and published agents' scores after 100,000 env steps."""
    table = _table("game", "runs", "return")
    if report.aggregates:
        for name in ("human-\nnormalised", *(_HEADERS.get(agent, agent) for agent in AGENTS_100K)):
            table.add_column(name, justify="right", no_wrap=True)
    for game in report.games:
        row = [escape(game.game), str(len(game.runs)), spread(game.return_mean, game.return_std)]
        table.add_row(*row, *(_published(game) if report.aggregates else ()))
    return table


def runs_table(report: ScoreReport) -> Table:
    """One row per run, game by game."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold")
    for name in ("episodes", "return", "env steps", "protocol", "normalised"):
        if name != "normalised" or report.aggregates:
            table.add_column(name, justify="right", no_wrap=True)
    for game in report.games:
        table.add_row(escape(game.game), style="bold")
        for run in game.runs:
            table.add_row(*_run_cells(run)[: len(table.columns)])
    return table


def aggregates_table(report: ScoreReport) -> Table:
    """One row per aggregate: its value, its interval, and published agents' values over the same games."""
    table = _table("human-normalised", "value", "95% interval")
    agents = [agent for agent in AGENTS_100K if agent in report.published]
    for agent in agents:
        table.add_column(agent, justify="right", no_wrap=True)
    for each in report.aggregates:
        theirs = [report.published[agent].get(each.name) for agent in agents]
        table.add_row(each.name, normalised(each.value), between(each.interval), *map(normalised, theirs))
    return table


def spread(mean: float, std: float | None) -> str:
    """'12.5 +- 3.1'; the mean alone if there is no spread."""
    return number(mean) if std is None else f"{number(mean)} +- {number(std)}"


def normalised(value: float | None) -> str:
    """A human-normalised score: '0.931', or '-' for None."""
    return "-" if value is None else f"{value:.3f}"


def between(interval: Interval | None) -> str:
    """An interval of human-normalised scores: '0.871 to 1.020'."""
    return "-" if interval is None else " to ".join(map(normalised, interval))


def _table(*names: str) -> Table:
    """An empty table whose first column is text and whose other columns are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def _published(game: GameScores) -> list[str]:
    figures = {} if game.figures is None else game.figures.published
    shown = [number(figures[agent]) if agent in figures else "-" for agent in AGENTS_100K]
    return [normalised(game.human_normalised), *shown]


def _run_cells(run: Run) -> list[str]:
    return [
        f"  {escape(run.name)}",
        count(run.episodes),
        spread(run.return_mean, run.return_std),
        count(run.env_steps),
        escape(run.protocol),
        normalised(run.human_normalised),
    ]
