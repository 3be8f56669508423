"""Renders a report as one self-contained HTML file: no script, no request, light and dark.

drawing    the pipeline as boxes and arrows; its two layouts are wide and tall
boxes      a role's bar and rows                          arrows     lines with heads and words
latencies  histograms of calls                            trends     rates over time

page.html is the template; it includes pictures.html and page.css, and extends the page of mzpipe.pages.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ...ipc.roles import Role
from ...pages import page_environment
from ...telemetry.report import ProfileReport, StageUse
from ..pods import PodUse
from . import latencies, trends
from .tall import tall
from .wide import wide

__all__ = ["About", "render_page"]


class About(NamedTuple):
    """The origin of the report: profile, host and commit."""

    profile: str
    # Fields of the profile that were set by hand, as in "learner.batch_size=512".
    overrides: tuple[str, ...]
    host: str
    # None if the sources are not under version control.
    commit: str | None
    date: str


def render_page(report: ProfileReport, about: About, pods: Sequence[PodUse] = ()) -> str:
    """The whole page, which makes no requests; pods have a section each."""
    environment = page_environment(Path(__file__).parent)
    environment.filters["latency"] = latencies.spoken
    return environment.get_template("page.html").render(
        report=report,
        about=about,
        pods=pods,
        stages_by_role=_stages_by_role(report),
        drawings=[wide(report), tall(report)],
        trends=trends.make_trends(report),
        histograms=latencies.make_histograms(report),
        trend_frame=trends.FRAME,
        histogram_frame=latencies.FRAME,
        cores_in_use=sum(use.cpu for use in report.roles.values()),
    )


def _stages_by_role(report: ProfileReport) -> list[tuple[Role, list[tuple[str, StageUse]]]]:
    """The stages grouped by role; the report lists them role by role already."""
    return [(role, list(group)) for role, group in groupby(report.stages.items(), lambda item: item[1].role)]
