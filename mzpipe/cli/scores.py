"""`mzpipe scores RUN...`: the scores of trained runs with intervals, next to published figures."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from ..runs.releases import find_run
from ..trained.scores import ScoreReport, make_report
from ..trained.scores.page import render_page
from ..trained.scores.read import read_runs
from ..trained.scores.table import aggregates_table, games_table, runs_table
from .profile_arguments import add_json_argument, refuse_unwritable, write_json, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "runs",
        type=find_run,
        nargs="+",
        metavar="RUN",
        help="a run directory, the name of a trained run (`mzpipe profiles`), or a file of `mzpipe eval --json`",
    )
    parser.add_argument(
        "--best", action="store_true", help="use the best evaluation of each run directory, not the last"
    )
    parser.add_argument("--mixed", action="store_true", help="combine runs even if their protocols or env steps differ")
    add_json_argument(parser, "the report")
    parser.add_argument("--html", type=Path, help="draw the report here, as a page for a browser")


def run(arguments: argparse.Namespace) -> int:
    """Reads the scores, prints the tables, writes the requested files."""
    refuse_unwritable(arguments.json)
    refuse_unwritable(arguments.html, "--html")
    report = make_report(read_runs(arguments.runs, best=arguments.best), mixed=arguments.mixed)
    show_report(report)
    write_json(arguments.json, report.as_json())
    if arguments.html is not None:
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        write_text(arguments.html, render_page(report, date), "--html")
    return 0


def show_report(report: ScoreReport) -> None:
    """Prints the tables and the notes."""
    console = Console(highlight=False)
    tables = [runs_table(report), games_table(report)] + ([aggregates_table(report)] if report.aggregates else [])
    for table in tables:
        console.print(table)
        console.print()
    for note in report.notes:
        console.print(note, markup=False)
