"""Writes a run's trajectories as plain npz files for other programs (`mzpipe export RUN`), and reads them.

    DATASET/dataset.json            format, game, discount, shapes, number of transitions, the files in order
            transitions-00000.npz   flat arrays, one row per transition, episodes one after another

DATASET gets its name only when it is complete.

| array | per row | |
|---|---|---|
| observations | frame_shape, frame_dtype | the single frame that the action was chosen at; stack them yourself |
| actions, rewards | int32, float32 | the action, and the reward that followed it |
| terminations, truncations | bool | whether the rules, or a limit, ended the episode after the action |
| legal_actions | bool [A] | |
| to_play | int8 | the player to move |
| search_policies, root_values | float32 [A], float32 | the position's search; a policy of zeros is no target |
| weights_versions | int64 | the version of the weights that the search used |
| final_values | float32 | the value to bootstrap from, in the last row of an episode that did not terminate; else 0 |
| episode_ids, steps | int64 | rows of one episode follow one another in one file, with one id and steps that count up |

If the journal has kept only a part of an episode, its first step is above 0, or
its last row is neither a termination nor a truncation.

The names are those of Gymnasium and Minari. This is not a Minari dataset: those
also hold the observation after the last action, which a journal does not.

Shape legend    A actions
"""

import errno
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputOutputError
from ..ipc.columns import columns, named
from ..ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Steps, Trajectory
from ..reading import open_plain, read_json
from ..runs.files import replacing
from .journal import JournalContents, StoredTrajectory

FORMAT = "mzpipe-transitions-1"
_INDEX = "dataset.json"
_MAX_INDEX_BYTES = 1 << 26
# The transitions of one file take at most about this many bytes in memory.
_FILE_BYTES = 256 << 20


class Exported(NamedTuple):
    """The numbers that an export wrote."""

    transitions: int
    episodes: int
    files: int


def export_dataset(contents: JournalContents, directory: Path, *, game: str, discount: float) -> Exported:
    """Writes every trajectory of a journal; raises InputOutputError if `directory` exists or cannot be written."""
    if os.path.lexists(directory):
        raise InputOutputError(f"{directory}: cannot be created: {os.strerror(errno.EEXIST)}")
    try:
        with replacing(directory) as draft:
            draft.mkdir(parents=True)
            return _write(contents, draft, game, discount)
    except OSError as error:
        raise InputOutputError(f"{directory}: cannot be written: {error.strerror}") from None


def _write(contents: JournalContents, directory: Path, game: str, discount: float) -> Exported:
    files: list[str] = []
    rows = episodes = 0
    for part in _parts(contents):
        arrays = _arrays(part, first_id=episodes)
        files.append(f"transitions-{len(files):05d}.npz")
        np.savez_compressed(directory / files[-1], **arrays)  # type: ignore[arg-type]
        rows, episodes = rows + len(arrays["actions"]), episodes + len(part)
    index = {
        "format": FORMAT,
        "game": game,
        "discount": discount,
        "frame_shape": list(contents.layout.frame_shape),
        "num_actions": contents.layout.num_actions,
        "transitions": rows,
        "episodes": episodes,
        "files": files,
    }
    (directory / _INDEX).write_text(json.dumps(index, indent=1) + "\n")
    return Exported(rows, episodes, len(files))


def read_dataset(directory: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yields the arrays of an exported dataset, file by file; raises InputOutputError that names the file."""
    try:
        index = read_json(directory / _INDEX, _MAX_INDEX_BYTES)
        names = [str(name) for name in index["files"]]
        found = index["format"]
    except (InputOutputError, KeyError, TypeError) as error:
        raise InputOutputError(f"{directory / _INDEX}: not an exported dataset: {error}") from None
    if found != FORMAT:
        raise InputOutputError(f"{directory / _INDEX}: format {found!r}, this program reads {FORMAT!r}")
    for name in names:
        try:
            with open_plain(directory / Path(name).name) as file, np.load(file) as arrays:
                part = dict(arrays)
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputOutputError(f"{directory / name}: cannot be read: {error}") from None
        yield part


def _parts(contents: JournalContents) -> Iterator[list[list[StoredTrajectory]]]:
    """Yields groups of whole episodes, each as large as one file holds."""
    part: list[list[StoredTrajectory]] = []
    nbytes = 0
    for episode in _episodes(contents):
        part.append(episode)
        nbytes += sum(array.nbytes for each in episode for array in named(each.record).values())
        if nbytes >= _FILE_BYTES:
            yield part
            part, nbytes = [], 0
    if part:
        yield part


def _episodes(contents: JournalContents) -> Iterator[list[StoredTrajectory]]:
    """Yields episodes, joined from trajectories that follow each other without a gap, in the order of their ends."""
    going_on: dict[tuple[int, int, int, int], list[StoredTrajectory]] = {}
    for trajectory in contents.trajectories():
        record = trajectory.record
        key = (trajectory.actor, trajectory.epoch, int(record.game[0]), int(record.episode[0]))
        before = going_on.pop(key, [])
        if before and before[-1].record.offset[0] + _length(before[-1]) != record.offset[0]:
            yield before
            before = []
        episode = [*before, trajectory]
        if record.end[0] == UNFINISHED:
            going_on[key] = episode
        else:
            yield episode
    yield from going_on.values()


def _arrays(episodes: list[list[StoredTrajectory]], first_id: int) -> dict[str, np.ndarray]:
    records = [trajectory.record for episode in episodes for trajectory in episode]
    arrays = {columns(Trajectory)["frame"].exported: np.concatenate([record.frame for record in records])}
    for place, (name, column) in enumerate(columns(Steps).items()):
        if records[0].steps[place] is not None:
            arrays[column.exported or name] = np.concatenate([record.steps[place] for record in records])
    lengths = [sum(map(_length, episode)) for episode in episodes]
    last, end = np.cumsum(lengths) - 1, np.array([episode[-1].record.end[0] for episode in episodes])
    rows = int(last[-1]) + 1
    arrays["terminations"], arrays["truncations"] = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    arrays["terminations"][last], arrays["truncations"][last] = end == TERMINATED, end == TRUNCATED
    arrays["final_values"] = np.zeros(rows, np.float32)
    arrays["final_values"][last] = [episode[-1].record.final_value[0] for episode in episodes]
    arrays["episode_ids"] = np.repeat(np.arange(first_id, first_id + len(episodes)), lengths)
    arrays["steps"] = np.concatenate([record.offset + np.arange(record.length[0]) for record in records])
    return arrays


def _length(trajectory: StoredTrajectory) -> int:
    return int(trajectory.record.length[0])
