"""`mzpipe elo RUN`: ratings of a run's checkpoints from games among them and against fixed opponents."""

import argparse

from rich.console import Console
from rich.table import Table

from ..runs.directory import RunDirectory
from ..runs.releases import is_release
from ..trained.ratings import Rating, Terms, rate, write_ratings
from .profile_arguments import (
    add_import_argument,
    add_json_argument,
    add_run_argument,
    integer,
    refuse_unwritable,
    write_json,
)

_DEFAULTS = Terms()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser, "the directory of a run of a board game")
    parser.add_argument("--checkpoints", nargs="+", default=(), metavar="C", help="which ones (default: all)")
    parser.add_argument(
        "--rollouts",
        nargs="*",
        type=integer(1),
        default=_DEFAULTS.rollouts,
        metavar="N",
        help="opponents that search with N random playouts per move (default: 100)",
    )
    parser.add_argument(
        "--openings",
        type=integer(1),
        default=_DEFAULTS.openings,
        help=f"random openings per pair; each is played from both sides (default: {_DEFAULTS.openings})",
    )
    parser.add_argument(
        "--opening-moves",
        type=integer(0),
        default=_DEFAULTS.opening_moves,
        help=f"random moves at the beginning of a game (default: {_DEFAULTS.opening_moves})",
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="seed of openings and opponents (default: 0)")
    add_import_argument(parser)
    add_json_argument(parser, "the ratings")


def run(arguments: argparse.Namespace) -> int:
    """Plays, prints the table, adds the ratings to the run's TensorBoard curves unless it comes with mzpipe."""
    refuse_unwritable(arguments.json)
    run_directory = RunDirectory(arguments.run)
    terms = Terms(
        tuple(arguments.checkpoints),
        tuple(arguments.rollouts),
        arguments.openings,
        arguments.opening_moves,
        arguments.seed,
    )
    console = Console(highlight=False)
    with console.status("loading") as status:
        ratings = rate(run_directory, terms, lambda done, pairs: status.update(f"{done} of {pairs} pairs"))
    console.print(_table(ratings))
    console.print("random play is 0; the 95 % intervals come from resampling each pair's games")
    if not is_release(run_directory.path):
        write_ratings(run_directory, ratings)
    write_json(arguments.json, [rating._asdict() for rating in ratings])
    return 0


def _table(ratings: list[Rating]) -> Table:
    table = Table("player", "Elo", "95 % interval", "games", "score", "env steps", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for rating in ratings:
        steps = "" if rating.env_steps is None else f"{rating.env_steps:,}"
        interval = f"{rating.low:.0f} to {rating.high:.0f}"
        table.add_row(rating.name, f"{rating.elo:.0f}", interval, str(rating.games), f"{rating.score:.2f}", steps)
    return table
