"""`python -m mzbench.played PROFILE --cache DIR`: see README.md, "played"."""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mzpipe.cli.profile_arguments import add_profile_arguments, integer, refuse_unwritable
from mzpipe.config import Profile, load_profile
from mzpipe.errors import MzpipeError
from mzpipe.games import describe_game

from .looks import FIRST_LOOK, Look, train
from .pong import cached_moves
from .positions import Positions

_MOVES, _EMULATORS, _STEPS = 90_000, 32, 900
# What a look may lose between training and play, for the table's columns.
_LOSSES = (0.05, 0.1, 0.5)


def main(words: Sequence[str] | None = None) -> int:
    """Trains, prints the table, writes the looks; returns 1 if the gate fails."""
    parser = argparse.ArgumentParser(prog="mzbench.played", description=__doc__)
    _add_arguments(parser)
    arguments = parser.parse_args(words)
    try:
        return _run(arguments)
    except MzpipeError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return error.exit_code


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_profile_arguments(parser)
    parser.add_argument("--cache", type=Path, required=True, help="directory for the played moves, 5 MB per image size")
    parser.add_argument(
        "--policy", choices=("uniform", "scripted"), default="uniform", help="what the policy is taught"
    )
    parser.add_argument("--moves", type=integer(1), default=_MOVES, help="moves to play (default: %(default)s)")
    parser.add_argument("--steps", type=integer(FIRST_LOOK), default=_STEPS, help="training steps (%(default)s)")
    parser.add_argument("--csv", type=Path, help="write the looks here")
    parser.add_argument("--max-gap", type=float, help="fail if a look loses more than this between training and play")
    parser.add_argument("--min-r2", type=float, help="fail if the last look, as trained, explains less than this")


def _run(arguments: argparse.Namespace) -> int:
    refuse_unwritable(arguments.csv, "--csv")
    profile = load_profile(arguments.profile, arguments.overrides)
    looks = _looks(profile, arguments)
    _show(looks)
    if arguments.csv is not None:
        _write(looks, arguments.csv)
    failures = failed(looks, arguments.max_gap, arguments.min_r2)
    for line in failures:
        sys.stdout.write(f"{line}\n")
    return 1 if failures else 0


def _looks(profile: Profile, arguments: argparse.Namespace) -> list[Look]:
    """Plays, trains, and looks, with a line of progress."""
    torch.set_num_threads(profile.learner.num_threads)
    game = describe_game(replace(profile.game, name="Pong", action_planes=False))
    with Console(stderr=True).status("playing") as status:
        moves = cached_moves(arguments.cache, profile.game, arguments.moves, _EMULATORS)
        positions = Positions(moves, profile, game.num_actions, uniform_policy=arguments.policy == "uniform")

        def progress(step: int) -> None:
            status.update(f"training: step {step} of {arguments.steps}")

        return list(train(profile, game, positions, steps=arguments.steps, progress=progress))


def failed(looks: Sequence[Look], max_gap: float | None, min_r2: float | None) -> list[str]:
    """A line for each limit that the looks break."""
    worst, last, lines = max(looks, key=lambda look: look.gap), looks[-1], []
    if max_gap is not None and not worst.gap <= max_gap:
        lines.append(f"step {worst.step}: play loses {worst.gap:.3f} of R2, more than --max-gap {max_gap}")
    if min_r2 is not None and not last.trained >= min_r2:
        lines.append(f"step {last.step}: R2 as trained is {last.trained:.3f}, less than --min-r2 {min_r2}")
    return lines


def _show(looks: Sequence[Look]) -> None:
    """A row for each kind of statistics; losses are against `trained` at the same look."""
    table = Table("statistics", "R2", "last third", *(f"loses > {loss}" for loss in _LOSSES), "worst")
    trained = np.array([look.trained for look in looks])
    for name in ("trained", "played", "running"):
        r2 = np.array([getattr(look, name) for look in looks])
        shares = [f"{np.mean(trained - r2 > loss):.0%}" for loss in _LOSSES]
        table.add_row(name, f"{r2.mean():+.3f}", f"{r2[2 * len(r2) // 3 :].mean():+.3f}", *shares, f"{r2.min():+.3f}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def _write(looks: Sequence[Look], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(Look._fields)
        rows.writerows([look.step, *(f"{value:.4f}" for value in look[1:])] for look in looks)


if __name__ == "__main__":
    sys.exit(main())
