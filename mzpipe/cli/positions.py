"""`mzpipe positions RUN FILE`: an agent's moves and values in positions of known value."""

import argparse
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..trained.player import Player
from ..trained.positions import Examined, Summary, examine, load_positions, summarise
from .profile_arguments import (
    add_checkpoint_argument,
    add_import_argument,
    add_json_argument,
    add_leaves_argument,
    add_run_argument,
    add_symmetries_argument,
    integer,
    refuse_unwritable,
    write_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser, "the directory of a run of a board game")
    parser.add_argument("file", type=Path, help="a CSV of moves, value, keeping: see docs/games.md")
    add_checkpoint_argument(parser)
    parser.add_argument(
        "--simulations", type=integer(1, 2000), metavar="N", help="simulations per move (default: the run's)"
    )
    add_leaves_argument(parser, "1")
    add_symmetries_argument(parser)
    add_import_argument(parser)
    add_json_argument(parser, "every position, and the means")


def run(arguments: argparse.Namespace) -> int:
    """Searches every position; prints the means over positions of equal length, and over all."""
    refuse_unwritable(arguments.json)
    positions = load_positions(arguments.file)
    options = {"leaves": arguments.leaves or 1, "symmetries": arguments.symmetries}
    player = Player.load(arguments.run, arguments.checkpoint, arguments.simulations, **options)
    console = Console(highlight=False)
    with console.status("loading") as status:
        examined = examine(player, positions, lambda number: status.update(f"{number} of {len(positions)} positions"))
    agent = player.agent
    console.print(
        f"{arguments.run}, {agent.checkpoint} ({agent.env_steps:,} env steps), "
        f"{player.config.num_simulations} simulations per move{_spoken_leaves(player)}",
        markup=False,
        soft_wrap=True,
    )
    console.print(_table(examined))
    write_json(arguments.json, _fields(player, examined) | {"symmetries": arguments.symmetries})
    return 0


def _spoken_leaves(player: Player) -> str:
    return "" if player.search.leaves == 1 else f", {player.search.leaves} leaves at a time"


def _table(examined: list[Examined]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("moves", "positions", "choices", "value kept", "at random", "value error", "network's"):
        table.add_column(name, justify="right")

    def length(one: Examined) -> int:
        return len(one.position.moves)

    for moves, group in groupby(sorted(examined, key=length), length):
        table.add_row(str(moves), *_cells(summarise(list(group))))
    table.add_row("all", *_cells(summarise(examined)))
    return table


def _cells(summary: Summary) -> list[str]:
    return [
        str(summary.positions),
        str(summary.with_a_choice),
        f"{summary.kept:.0%}" if summary.with_a_choice else "",
        f"{summary.kept_at_random:.0%}" if summary.with_a_choice else "",
        f"{summary.value_error:.2f}",
        f"{summary.network_value_error:.2f}",
    ]


def _fields(player: Player, examined: list[Examined]) -> dict:
    rows = [
        {
            "moves": one.position.moves,
            "value": one.position.value,
            "keeping": sorted(one.position.keeping),
            "action": one.action,
            "searched_value": one.value,
            "network_value": one.network_value,
        }
        for one in examined
    ]
    return {
        "checkpoint": player.agent.checkpoint,
        "num_simulations": player.config.num_simulations,
        "leaves": player.search.leaves,
        "means": summarise(examined)._asdict(),
        "positions": rows,
    }
