"""`mzpipe profiles`: the profiles that come with mzpipe."""

import argparse

from rich.console import Console
from rich.table import Table

from ..config import load_profile
from ..config.shipped import Result, shipped_profiles, shipped_results

_NOTE = "Minutes are those on two cores without a GPU; curves are in docs/results. `mzpipe train cartpole` trains one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb: none."""


def run(arguments: argparse.Namespace) -> int:
    """Prints a table: each profile's name, its game, and what was reached with it."""
    results, table = shipped_results(), Table("profile", "game", "minutes", "score")
    for name, path in shipped_profiles().items():
        table.add_row(name, load_profile(path).game.name, *results.get(name, Result("", "not trained to one yet")))
    console = Console(highlight=False)
    console.print(table)
    console.print(_NOTE, markup=False)
    return 0
