"""`mzpipe profile PROFILE --seconds N`: what every stage does with its time, and which one holds the run back."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from ..bench.machine import UNKNOWN, here
from ..config import load_profile
from ..errors import ExitCode
from ..launch.profile import measure_profile
from ..profiling import ProfileReport, profile_table
from ..profiling.page import About, render_page
from ..telemetry import make_view
from .json_file import add_json_argument, refuse_unwritable, write_json, write_text
from .profile_arguments import add_profile_arguments

_DEFAULT_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        default=_DEFAULT_SECONDS,
        help="how long to measure, once the run is warm (default: 30)",
    )
    add_json_argument(parser, "the report")
    parser.add_argument("--html", type=Path, help="draw the report here, as a page for a browser")


def run(arguments: argparse.Namespace) -> int:
    """Runs and measures, then prints the table and the verdict."""
    profile = load_profile(arguments.profile, arguments.overrides)
    refuse_unwritable(arguments.json)
    refuse_unwritable(arguments.html, "--html")
    view = make_view(f"profile of {arguments.profile.stem}", interval_s=profile.telemetry.interval_s)
    try:
        outcome, report = measure_profile(profile, arguments.seconds, view)
    finally:
        view.close()
    if report is None:
        sys.stderr.write(f"mzpipe profile: nothing was measured: {outcome.reason}\n{outcome.traceback}".rstrip() + "\n")
        return outcome.exit_code or ExitCode.USAGE
    _show(report)
    write_json(arguments.json, report.as_json())
    if arguments.html is not None:
        write_text(arguments.html, render_page(report, _about(arguments)), "--html")
    return ExitCode.FINISHED


def _about(arguments: argparse.Namespace) -> About:
    origin, now = here(), datetime.now(UTC)
    commit = None if origin.commit == UNKNOWN else origin.commit
    return About(
        arguments.profile.stem, tuple(arguments.overrides), origin.host, commit, now.strftime("%Y-%m-%d %H:%M UTC")
    )


def _show(report: ProfileReport) -> None:
    console = Console()
    console.print()
    console.print(profile_table(report))
    console.print()
    reuse = "-" if report.samples_per_insert is None else f"{report.samples_per_insert:.1f}"
    console.print(
        f"{report.seconds:.0f} s: {report.env_steps_per_s:,.0f} env steps/s, {report.simulations_per_s:,.0f} "
        f"simulations/s, {report.learner_steps_per_s:.3g} learner steps/s, {reuse} samples per insert",
        highlight=False,
    )
    console.print(report.verdict.sentence, style="bold", highlight=False)
