"""`mzpipe inspect RUN --episode E --step T --html F`: the search of one move, as a page for a browser."""

import argparse
from pathlib import Path

from rich.console import Console

from ..trained.inspection import inspect_move
from ..trained.page import render_page
from ..trained.player import Player
from .profile_arguments import (
    add_checkpoint_argument,
    add_import_argument,
    add_run_argument,
    integer,
    refuse_unwritable,
    write_text,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser)
    add_import_argument(parser)
    parser.add_argument("--episode", type=integer(0), default=0, help="which greedy game, counted from 0 (default: 0)")
    parser.add_argument("--step", type=integer(0), required=True, help="which of its moves, counted from 0")
    parser.add_argument("--html", type=Path, required=True, help="write the page here")
    add_checkpoint_argument(parser)
    parser.add_argument("--seed", type=integer(0), default=0, help="seed of the games (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Plays up to the move and a little further, writes the page, and prints the chosen action."""
    player = Player.load(arguments.run, arguments.checkpoint, leaves=1)
    refuse_unwritable(arguments.html, "--html")
    console = Console(highlight=False)
    with console.status("loading") as status:

        def progress(episode: int, step: int) -> None:
            status.update(f"episode {episode}, step {step}")

        inspection = inspect_move(player, arguments.episode, arguments.step, seed=arguments.seed, progress=progress)
    name = arguments.run.resolve().name
    write_text(arguments.html, render_page(inspection, player, name), "--html")
    decision = inspection.position.decision
    console.print(
        f"{name}, {player.agent.checkpoint}, episode {arguments.episode}, step {arguments.step}: "
        f"{inspection.names[decision.action_index]}, value {decision.value:.2f}: {arguments.html}",
        markup=False,
        soft_wrap=True,
    )
    return 0
