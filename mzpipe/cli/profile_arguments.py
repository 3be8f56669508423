"""Arguments that several verbs share: those for a profile, its game, a checkpoint, or output files."""

import argparse
import contextlib
import json
import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputOutputError, UsageError
from ..games import GameSpec
from ..runs.files import replacing
from ..runs.releases import find_run


def add_json_argument(parser: ArgumentParser, what: str) -> None:
    """--json, as `json`: the file to write `what` to."""
    parser.add_argument("--json", type=Path, help=f"write {what} here")


def refuse_unwritable(path: Path | None, option: str = "--json") -> None:
    """Raises InputOutputError if the file could not be written, before minutes are spent on its contents."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise InputOutputError(f"{option} {path}: no such directory: {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InputOutputError(f"{option} {path}: cannot be written")


def refuse_vectors(game: GameSpec, verb: str) -> None:
    """Raises UsageError where actions are vectors: there is no list of actions to press."""
    if game.action_size:
        raise UsageError(
            f"{verb}: {game.name} has sampled actions (game.gymnasium.sampled_actions), not a list of them: "
            "`mzpipe record` shows its games, `mzpipe inspect` a move"
        )


def refuse_existing(out: Path) -> None:
    """Raises UsageError if anything has the name of a directory that is to be made."""
    if os.path.lexists(out):
        raise UsageError(f"{out}: exists already: remove it, or name another directory with --to")


@contextlib.contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """Yields the draft of a new directory, which gets its name with all that the block puts into it, or not at all.

    Raises InputOutputError.
    """
    try:
        with replacing(out) as draft:
            draft.mkdir(parents=True)
            yield draft
    except OSError as error:
        raise InputOutputError(f"{out}: cannot be written: {error.strerror}") from None


def write_json(path: Path | None, fields: Any) -> None:
    """Writes the fields to `path` unless it is None; raises InputOutputError."""
    if path is not None:
        write_text(path, json.dumps(fields, indent=1) + "\n", "--json")


def write_text(path: Path, text: str, option: str) -> None:
    """Writes a text to the file that an option names; raises InputOutputError, naming the option.

    There is no draft: the user may name a pipe, a terminal, or a file in a directory that others own, and can give the
    command again.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputOutputError(f"{option} {path}: cannot be written: {error.strerror}") from None


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an argument that is a whole number within these bounds; for any other, argparse prints the error."""

    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is not at least {least}")
        if most is not None and number > most:
            raise argparse.ArgumentTypeError(f"{number} is not at most {most}")
        return number

    parse.__name__ = "whole number"
    return parse


def seconds(text: str) -> float:
    """The type of an argument that is a time above 0; for any other, argparse prints the error."""
    number = float(text)
    if not number > 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 seconds")
    return number


def add_leaves_argument(parser: ArgumentParser, usual: str) -> None:
    """--leaves, as `leaves`."""
    parser.add_argument(
        "--leaves", type=integer(1), metavar="P", help=f"leaves of a tree in one network call (default: {usual})"
    )


def add_symmetries_argument(parser: ArgumentParser) -> None:
    """--symmetries, as `symmetries`."""
    parser.add_argument(
        "--symmetries",
        action="store_true",
        help="average what the network says of the position to move in over the game's symmetries",
    )


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """PROFILE, --set and --allow-env-import, as `profile`, `overrides` and `allow_env_import`."""
    parser.add_argument("profile", type=Path, help="a profile: a file, or a name that `mzpipe profiles` lists")
    add_overrides_argument(parser)
    add_import_argument(parser)


def add_overrides_argument(parser: argparse.ArgumentParser) -> None:
    """--set, as `overrides`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one field, as in --set learner.batch_size=512; may be repeated",
    )


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """--allow-env-import, which `main` applies to this process and its children."""
    parser.add_argument(
        "--allow-env-import",
        action="store_true",
        help="import the code that a profile names as module:Class; only for profiles and runs that you trust",
    )


def add_run_argument(parser: argparse.ArgumentParser, what: str = "a run directory") -> None:
    """RUN, as `run`: a directory, or the name of a trained run that comes with mzpipe."""
    parser.add_argument("run", type=find_run, help=f"{what}, or the name of a trained run (`mzpipe profiles`)")


def add_checkpoint_argument(parser: argparse.ArgumentParser) -> None:
    """--checkpoint, as `checkpoint`, for load_trained."""
    parser.add_argument("--checkpoint", help="best, latest or a directory's name (default: best, else latest)")
