"""`mzpipe eval RUN`: whole greedy games with a checkpoint of a run."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..launch.evaluate import PROTOCOL, Scores, evaluate
from ..launch.run_directory import RunDirectory
from .json_file import add_json_argument, refuse_unwritable, write_json
from .profile_arguments import add_import_argument

_DEFAULT_EPISODES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", type=Path, help="a run directory")
    add_import_argument(parser)
    parser.add_argument("--episodes", type=_positive, default=_DEFAULT_EPISODES, help="whole games (default: 20)")
    parser.add_argument("--checkpoint", help="best, latest or a directory's name (default: best, else latest)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the games (default: 0)")
    add_json_argument(parser, "the scores")


def run(arguments: argparse.Namespace) -> int:
    """Plays, prints one line, writes the JSON."""
    refuse_unwritable(arguments.json)
    console = Console()
    with console.status("loading") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"{done} of {total} episodes")

        scores = evaluate(
            RunDirectory(arguments.run), arguments.checkpoint, arguments.episodes, arguments.seed, progress
        )
    console.print(scores.game, markup=False, highlight=False)
    console.print(_line(scores), markup=False, highlight=False)
    write_json(arguments.json, _fields(scores))
    return 0


def _line(scores: Scores) -> str:
    returns = np.array(scores.returns)
    return (
        f"{scores.checkpoint}: mean return {returns.mean():.1f} +- {returns.std():.1f} over {len(returns)} episodes "
        f"(min {returns.min():.1f}, max {returns.max():.1f}; trained {scores.env_steps:,} env steps)"
    )


def _fields(scores: Scores) -> dict[str, Any]:
    return {
        "return_mean": float(np.mean(scores.returns)),
        "return_std": float(np.std(scores.returns)),
        "episodes": len(scores.returns),
        "returns": scores.returns,
        "protocol": PROTOCOL,
        "weights_version": scores.weights_version,
        "env_steps": scores.env_steps,
        "learner_steps": scores.learner_steps,
        "checkpoint": scores.checkpoint,
        "game": scores.game,
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
