"""`mzpipe record RUN`: greedy games with a checkpoint of a run, as a video that also shows the search."""

import argparse
from pathlib import Path

from rich.console import Console

from ..runs.releases import product_of
from ..trained.player import Player
from ..trained.video import Limits, record_games
from ..trained.video.encode import refuse_format
from .profile_arguments import (
    add_checkpoint_argument,
    add_import_argument,
    add_run_argument,
    integer,
    refuse_unwritable,
)

_DEFAULT_FPS = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser)
    add_import_argument(parser)
    parser.add_argument("--episodes", type=integer(1), default=1, help="games (default: 1)")
    parser.add_argument("--max-moves", type=integer(1), help="cut every game short after this many moves")
    add_checkpoint_argument(parser)
    parser.add_argument("--seed", type=integer(0), default=0, help="seed of the games (default: 0)")
    parser.add_argument("--output", type=Path, help="an .mp4 or .gif (default: RUN/video.mp4)")
    parser.add_argument(
        "--fps", type=integer(1, 60), default=_DEFAULT_FPS, help="moves per second, 1 to 60 (default: 15)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Plays, writes the video, and prints what it shows and where it is."""
    path = arguments.output or product_of(arguments.run, "video.mp4")
    refuse_format(path)
    player = Player.load(arguments.run, arguments.checkpoint, leaves=1)
    refuse_unwritable(path, "--output")
    console = Console(highlight=False)
    with console.status("loading") as status:

        def progress(episode: int, moves: int) -> None:
            status.update(f"episode {episode + 1} of {arguments.episodes}, move {moves}")

        limits = Limits(arguments.episodes, arguments.max_moves or 0)
        recorded = record_games(player, path, limits, seed=arguments.seed, fps=arguments.fps, progress=progress)
    console.print(recorded.caption, markup=False)
    returns = ", ".join(f"{value:g}" for value in recorded.returns)
    console.print(f"{recorded.moves:,} moves, returns {returns}: {path}", markup=False, soft_wrap=True)
    return 0
