"""Reads scores of saved runs from a run directory's scores.csv, or from a file that `mzpipe eval --json` wrote."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...config import GameConfig, load_profile
from ...errors import InputOutputError, UsageError
from ...games import describe_game
from ...games.board_rules import BOARDS
from ...games.figures import game_of
from ...reading import read_json
from ...runs.directory import RunDirectory, refuse_no_run
from ...runs.scores import read_scores
from . import Run

_MAX_BYTES = 1 << 26
_FIELDS: dict[str, tuple[type, ...]] = {
    "game": (str,),
    "protocol": (str,),
    "env_steps": (int,),
    "episodes": (int,),
    "return_mean": (int, float),
    "return_std": (int, float),
}


def read_runs(paths: list[Path], *, best: bool = False) -> list[Run]:
    """The run at each path with the score of its last or best evaluation; a file holds one evaluation only.

    Raises UsageError for a run that does not exist or has no scores, and for a path given twice. Raises
    InputOutputError for a file that cannot be read or that `mzpipe eval --json` did not write.
    """
    twice = [path for place, path in enumerate(paths) if path.resolve() in map(Path.resolve, paths[:place])]
    if twice:
        raise UsageError(f"{twice[0]}: named twice: each run counts once")
    names = [path.stem if path.is_file() else path.name for path in paths]
    return [
        _read_run(path, name if names.count(name) == 1 else str(path), best=best)
        for path, name in zip(paths, names, strict=True)
    ]


def _read_run(path: Path, name: str, *, best: bool) -> Run:
    if path.is_dir():
        return _from_directory(RunDirectory(path), name, best=best)
    if not path.exists():
        raise UsageError(f"{path}: no such run or file")
    return _from_json(path, name)


def _from_directory(directory: RunDirectory, name: str, *, best: bool) -> Run:
    refuse_no_run(directory.path)
    evaluations = read_scores(directory.scores)
    if not evaluations:
        raise UsageError(f"{directory.path}: no scores yet: train on, or name a file of mzpipe eval --json")
    for line, each in enumerate(evaluations, start=2):
        if not math.isfinite(each.return_mean) or not math.isfinite(each.return_std):
            raise InputOutputError(
                f"{directory.scores}, line {line}: return {each.return_mean} +- {each.return_std} is not a score"
            )
    chosen = max(evaluations, key=lambda each: each.return_mean) if best else evaluations[-1]
    return Run(
        name=name,
        game=_game(load_profile(directory.profile).game),
        protocol=chosen.protocol,
        env_steps=chosen.env_steps,
        episodes=chosen.episodes,
        return_mean=chosen.return_mean,
        return_std=chosen.return_std,
        curve=tuple((each.axis, each.return_mean) for each in evaluations),
    )


def _game(config: GameConfig) -> str:
    """The same name as game_of gives; only board games need more than the profile's name, so no user's game is made."""
    return game_of(describe_game(config).description if config.name in BOARDS else config.name)


def _from_json(path: Path, name: str) -> Run:
    fields = read_eval_file(path)
    return Run(
        name=name,
        game=game_of(fields["game"]),
        protocol=fields["protocol"].partition(":")[0],
        env_steps=fields["env_steps"],
        episodes=fields["episodes"],
        return_mean=float(fields["return_mean"]),
        return_std=float(fields["return_std"]),
        curve=((fields["env_steps"], float(fields["return_mean"])),),
    )


def read_eval_file(path: Path, further: Mapping[str, tuple[type, ...]] = MappingProxyType({})) -> dict[str, Any]:
    """The fields of a file of `mzpipe eval --json`; those of its score and `further` ones are of these kinds.

    Raises InputOutputError for any other file.
    """
    fields = _read_fields(path)
    for field, kinds in {**_FIELDS, **further}.items():
        if not _is_a(fields.get(field), kinds):
            raise InputOutputError(f"{path}: not written by mzpipe eval --json: {field} is {fields.get(field)!r:.80}")
    return fields


def _is_a(value: object, kinds: tuple[type, ...]) -> bool:
    """Whether a field is of these kinds; a bool, an infinity or NaN is not a number."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, kinds) and not isinstance(value, bool)


def _read_fields(path: Path) -> dict[str, Any]:
    try:
        fields = read_json(path, _MAX_BYTES)
    except InputOutputError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise InputOutputError(f"{path}: not written by mzpipe eval --json: {what}") from None
    if not isinstance(fields, dict):
        raise InputOutputError(f"{path}: not written by mzpipe eval --json: it has no fields")
    return fields
