"""`mzpipe eval RUN`: whole greedy games with a checkpoint of a run."""

import argparse
import shlex
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from rich.console import Console

from ..config import PROTOCOLS, OpponentName
from ..format import score
from ..games.figures import normalised_fields, spoken_normalised
from ..runs.directory import RunDirectory
from ..trained.evaluate import Examination, Scores, evaluate
from .profile_arguments import (
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
    add_run_argument(parser)
    parser.add_argument(
        "--protocol", help=f"for Atari: {', '.join(PROTOCOLS)} (default: the profile's game.protocol, or its settings)"
    )
    parser.add_argument(
        "--episodes", type=integer(1), help="whole games with each seed (default: the protocol's, or 20)"
    )
    parser.add_argument("--checkpoint", help="best, latest, a learner step or a name (default: best, else latest)")
    parser.add_argument("--seeds", type=integer(1), help="number of seeds (default: the protocol's; 1 with --episodes)")
    parser.add_argument("--seed", type=integer(0), default=0, help="the first seed of the games (default: 0)")
    parser.add_argument(
        "--simulations", type=integer(1, 2000), metavar="N", help="simulations per move (default: the run's)"
    )
    add_leaves_argument(parser, "1; more are faster where few episodes have many simulations")
    add_symmetries_argument(parser)
    parser.add_argument(
        "--opponent",
        choices=get_args(OpponentName),
        help="two-player games: the agent's opponent (default: the profile's evaluator.opponent)",
    )
    parser.add_argument(
        "--opponent-simulations",
        type=integer(1),
        metavar="N",
        help="playouts per move of --opponent rollouts, nodes of a UCI or USI engine",
    )
    parser.add_argument(
        "--opponent-command",
        type=shlex.split,
        metavar="COMMAND",
        help="with --opponent engine: its program and arguments, as in 'gnugo --mode gtp'",
    )
    add_import_argument(parser)
    add_json_argument(parser, "the scores")


def run(arguments: argparse.Namespace) -> int:
    """Plays, prints one line, writes the JSON file."""
    refuse_unwritable(arguments.json)
    console = Console()
    with console.status("loading") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"{done} of {total} episodes" if total else f"{done} lines of play")

        scores = evaluate(RunDirectory(arguments.run), _examination(arguments), progress)
    console.print(scores.game, markup=False, highlight=False)
    console.print(_line(scores), markup=False, highlight=False, soft_wrap=True)
    write_json(arguments.json, _fields(scores))
    return 0


def _examination(arguments: argparse.Namespace) -> Examination:
    return Examination(
        checkpoint=arguments.checkpoint,
        protocol=arguments.protocol,
        episodes=arguments.episodes,
        num_seeds=arguments.seeds,
        first_seed=arguments.seed,
        num_simulations=arguments.simulations,
        leaves=arguments.leaves or 1,
        symmetries=arguments.symmetries,
        opponent=arguments.opponent,
        opponent_simulations=arguments.opponent_simulations,
        opponent_command=None if arguments.opponent_command is None else tuple(arguments.opponent_command),
    )


def _line(scores: Scores) -> str:
    return _match_line(scores) if scores.num_players == 2 else _return_line(scores)


def _match_line(scores: Scores) -> str:
    return (
        f"{scores.checkpoint}: {spoken_outcomes(scores.returns)} of {len(scores.returns)} games, "
        f"mean {np.mean(scores.returns):.2f} (protocol {scores.protocol}; trained {scores.env_steps:,} env steps)"
    )


def spoken_outcomes(returns: Sequence[float]) -> str:
    """How often the agent won, drew and lost."""
    outcomes = np.sign(returns)
    return ", ".join(f"{word} {(outcomes == each).sum()}" for word, each in (("won", 1), ("drawn", 0), ("lost", -1)))


def _return_line(scores: Scores) -> str:
    returns = np.array(scores.returns)
    seeds = "" if len(scores.seeds) == 1 else f" of {len(scores.seeds)} seeds"
    return (
        f"{scores.checkpoint}: mean return {score(returns.mean())} +- {score(returns.std())} "
        f"over {len(returns)} episodes{seeds} (min {score(returns.min())}, max {score(returns.max())}; "
        f"protocol {scores.protocol}; trained {scores.env_steps:,} env steps)"
        f"{spoken_normalised(scores.game, float(returns.mean()))}"
    )


def _fields(scores: Scores) -> dict[str, Any]:
    return {
        "return_mean": float(np.mean(scores.returns)),
        "return_std": float(np.std(scores.returns)),
        "episodes": len(scores.returns),
        "returns": scores.returns,
        "seeds": scores.seeds,
        "protocol": scores.protocol,
        "protocol_settings": scores.protocol_settings,
        "weights_version": scores.weights_version,
        "env_steps": scores.env_steps,
        "learner_steps": scores.learner_steps,
        "checkpoint": scores.checkpoint,
        "game": scores.game,
        "num_simulations": scores.num_simulations,
        "leaves": scores.leaves,
        "symmetries": scores.symmetries,
        **normalised_fields(scores.game, float(np.mean(scores.returns))),
    }
