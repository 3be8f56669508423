"""`mzpipe check-env NAME`: checks what the pipeline needs of a game, one line each; exit code 2 if a check fails."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..config import Profile, load_profile, parse_profile
from ..errors import ExitCode
from ..measure.game import Check, check_game
from .profile_arguments import add_import_argument, add_overrides_argument

_MARKS = {True: ("ok", "green"), False: ("FAIL", "bold red"), None: ("", "")}
# Makes a profile of a bare name: every profile needs a stop condition.
_STOP = "stop.minutes=1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("name", help="a game, as in CartPole-v1 or my_game:MyGame, or a profile")
    add_overrides_argument(parser)
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a row per check as it ends."""
    profile = _profile(arguments.name, arguments.overrides)
    console, failed = Console(), 0
    with console.status("playing at random"):
        for check in check_game(profile):
            console.print(_row(check))
            failed += check.passed is False
    verdict = f"{failed} of the checks failed" if failed else "all is right"
    console.print(Text(verdict, style="bold red" if failed else "bold"))
    return ExitCode.USAGE if failed else ExitCode.FINISHED


def _profile(name: str, overrides: list[str]) -> Profile:
    if name.endswith(".toml"):
        return load_profile(Path(name), overrides)
    return parse_profile("", [f"game.name={name}", _STOP, *overrides])


def _row(check: Check) -> Table:
    """One row; all rows have the same columns."""
    mark, style = _MARKS[check.passed]
    row = Table.grid(padding=(0, 2))
    row.add_column(width=4)
    row.add_column(width=14)
    row.add_column(overflow="fold")
    row.add_row(Text(mark, style=style), check.name, Text(check.text))
    return row
