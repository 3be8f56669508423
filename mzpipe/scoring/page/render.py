"""Render: a report through the templates beside this file."""

from pathlib import Path

from ...games.figures import AGENTS_100K, MUZERO_20B
from ...pages import page_environment
from ..report import ScoreReport
from ..table import between, normalised, spread
from . import aggregates, curves


def render_page(report: ScoreReport, date: str) -> str:
    """The whole page, which asks nobody for anything; `date` is when it was written."""
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
        curves=curves.make_curves(report),
        curves_frame=curves.FRAME,
        cards=aggregates.make_cards(report),
        card_width=aggregates.WIDTH,
        card_left=aggregates.LEFT,
        card_right=aggregates.RIGHT,
    )


def _spread(mean: float, std: float | None) -> str:
    """As the terminal has it, with the proper sign."""
    return spread(mean, std).replace("+-", "\u00b1")


def _title(report: ScoreReport) -> str:
    return report.games[0].game if len(report.games) == 1 else f"{len(report.games)} games"
