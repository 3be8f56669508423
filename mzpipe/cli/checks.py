"""Prints the checks of a user's own code, a row each."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import ExitCode
from ..measure.check import Check

_MARKS = {True: ("ok", "green"), False: ("FAIL", "bold red"), None: ("", "")}


def print_checks(checks: Iterable[Check], *, doing: str) -> ExitCode:
    """Prints a row per check as it ends; returns the command's exit code."""
    console, failed = Console(), 0
    with console.status(doing):
        for check in checks:
            console.print(_row(check))
            failed += check.passed is False
    verdict = f"{failed} of the checks failed" if failed else "all is right"
    console.print(Text(verdict, style="bold red" if failed else "bold"))
    return ExitCode.USAGE if failed else ExitCode.FINISHED


def _row(check: Check) -> Table:
    """One row; all rows have the same columns."""
    mark, style = _MARKS[check.passed]
    row = Table.grid(padding=(0, 2))
    row.add_column(width=4)
    row.add_column(width=14)
    row.add_column(overflow="fold")
    row.add_row(Text(mark, style=style), check.name, Text(check.text))
    return row
