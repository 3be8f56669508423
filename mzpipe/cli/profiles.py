"""`mzpipe profiles`: the profiles that come with mzpipe, and the trained runs."""

import argparse

from rich.console import Console
from rich.table import Table

from ..config import load_profile
from ..config.shipped import Result, shipped_profiles, shipped_results
from ..runs.releases import shipped_releases

_NOTE = (
    "Minutes are those on two cores without a GPU; curves are in docs/results. `mzpipe train cartpole` trains one.\n"
    "Of profiles marked * a trained run comes with mzpipe: eval, play, record and inspect take its name."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb: none."""


def run(arguments: argparse.Namespace) -> int:
    """Prints a table of the profiles: name, game, what was reached, and which have a trained run."""
    results, releases, table = shipped_results(), shipped_releases(), Table("profile", "game", "minutes", "score")
    for name, path in shipped_profiles().items():
        mark = " *" if name in releases else ""
        table.add_row(
            name + mark, load_profile(path).game.name, *results.get(name, Result("", "not trained to one yet"))
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(_NOTE, markup=False)
    return 0
