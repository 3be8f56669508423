"""Checkpoints: the model on disk, written so that a crash leaves either the former one or the new one, whole.

    checkpoints/step_00002000/weights.safetensors   tensors of the model
                              optimizer.safetensors tensors of the optimiser (not in `best`)
                              state.msgpack         counters and plain settings
                              manifest.json         SHA-256 and size of each file; written last
    checkpoints/latest, checkpoints/best            text: the directory's name

A directory gets its name by one rename, after every file and the directory itself
are on disk; if another directory has the name, the two change places in the same
rename. A pointer file is replaced by one rename (runs/files.py). One gate, `_check`,
decides what may be written and what may be used: finite tensors, and a state of the
right types. A directory that is being removed is called .NAME.PID.old.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import psutil
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..errors import CheckpointError, InputOutputError, NotFiniteError
from ..reading import read_file, read_json
from .files import remove_any, replace_file, replacing
from .state import fault_of_state

MANIFEST = "manifest.json"
# Pointers that every run has: to the last checkpoint saved, and to the best one in an evaluation.
LATEST, BEST = "latest", "best"
_WEIGHTS, _OPTIMIZER, _STATE = "weights.safetensors", "optimizer.safetensors", "state.msgpack"
_FORMAT_VERSION = 1
_STEP = re.compile(r"step_(\d{8,18})")
_MAX_POINTER_BYTES = _MAX_MANIFEST_BYTES = 1 << 16
# Of one file of a checkpoint, whatever its manifest says: a model of 10^9 numbers has 4 GB, its optimiser 12.
_MAX_FILE_BYTES = 1 << 34
_SHOWN = 40  # characters of a wrong pointer that an error shows


def step_name(learner_steps: int) -> str:
    """The name of the learner's checkpoint at that step."""
    return f"step_{learner_steps:08d}"


def _steps(name: str) -> int:
    return int(name.removeprefix("step_"))


class Checkpoint(NamedTuple):
    """The contents of a checkpoint."""

    weights: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    state: dict[str, Any]


class CheckpointStore:
    """The checkpoints directory of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, name: str, checkpoint: Checkpoint, *, pointer: str) -> Path:
        """Writes `checkpoint` as `name`, then lets `pointer` name it.

        Raises NotFiniteError or CheckpointError before anything is written, CheckpointError if it cannot be written.
        """
        _check(self.directory / name, checkpoint)
        files = {
            _WEIGHTS: save_tensors(checkpoint.weights),
            _OPTIMIZER: save_tensors(checkpoint.optimizer),
            _STATE: msgpack.packb(checkpoint.state),
        }
        try:
            with replacing(self.directory / name, exchange=True) as draft:
                draft.mkdir(parents=True)
                for file_name, data in {**files, MANIFEST: _manifest(files)}.items():
                    (draft / file_name).write_bytes(data)
            self._point(pointer, name)
        except OSError as error:
            raise CheckpointError(f"{self.directory / name}: cannot be saved: {error.strerror}") from error
        return self.directory / name

    def load(self, pointer_or_name: str) -> Checkpoint:
        """The named checkpoint, with every file verified; raises CheckpointError with file and fault."""
        return self.load_chosen(pointer_or_name)[1]

    def load_chosen(self, name: str | None) -> tuple[str, Checkpoint]:
        """(directory name, checkpoint) by `chosen` and `load`; safe while a live run saves and removes checkpoints."""
        while True:
            chosen = self.chosen(name)
            found = self._identity(chosen)
            try:
                return chosen, self._read(chosen)
            except CheckpointError:
                again = self.chosen(name)
                if (again, self._identity(again)) == (chosen, found):
                    raise  # no process has replaced it since

    def _identity(self, name: str) -> int | None:
        try:
            return (self.directory / name).stat().st_ino
        except FileNotFoundError:
            return None

    def _read(self, name: str) -> Checkpoint:
        path = self.directory / name
        files = _verified_files(path)
        with _reading(path):
            checkpoint = Checkpoint(
                load_tensors(files[_WEIGHTS]),
                load_tensors(files[_OPTIMIZER]),
                msgpack.unpackb(files[_STATE], max_ext_len=0),
            )
            _check(path, checkpoint)
        return checkpoint

    def has(self, pointer: str) -> bool:
        """Whether the pointer has been set."""
        return (self.directory / pointer).is_file()

    def has_entry(self, pointer: str) -> bool:
        """Whether anything has the pointer's name, even a dangling link."""
        return os.path.lexists(self.directory / pointer)

    def pointed(self, pointer: str) -> str:
        """The directory name that the pointer holds; raises CheckpointError if it leads nowhere."""
        path = self.directory / pointer
        if not self.has_entry(pointer):
            raise CheckpointError(f"{path}: missing")
        if not path.is_file():
            raise CheckpointError(f"{path}: {'a directory' if path.is_dir() else 'leads to no file'}")
        name = self._pointed(pointer)
        if not name:
            raise CheckpointError(f"{path}: {'too large' if name is None else 'empty'}")
        if not self._is_directory(name):
            raise CheckpointError(f"{path}: names {name[:_SHOWN]!r}, which does not exist")
        return name

    def point(self, pointer: str, name: str) -> None:
        """Lets `pointer` name an existing checkpoint; raises CheckpointError."""
        try:
            self._point(pointer, name)
        except OSError as error:
            raise CheckpointError(f"{self.directory / pointer}: cannot be written: {error.strerror}") from error

    def resolve(self, pointer_or_name: str) -> str:
        """The directory name of `latest`, `best`, a learner step or a plain name; raises CheckpointError if none."""
        if pointer_or_name.isdecimal():
            pointer_or_name = step_name(int(pointer_or_name))
        pointer = self.directory / pointer_or_name
        former = None
        while (name := self._pointed(pointer_or_name) or pointer_or_name) != former:
            if self._is_directory(name):
                return name
            former = name  # read the pointer once more: the checkpoint may have been replaced and removed since
        known = ", ".join(self.names())
        if not known:
            raise CheckpointError(f"{self.directory}: the run has saved no checkpoint yet")
        raise CheckpointError(f"{pointer}: no such checkpoint; there are: {known}")

    def chosen(self, name: str | None) -> str:
        """Like resolve, but None means `best` if anything has this name, else `latest`."""
        return self.resolve(name or (BEST if self.has_entry(BEST) else LATEST))

    def names(self) -> list[str]:
        """The names of whole checkpoints, in order."""
        return sorted(path.parent.name for path in self.directory.glob(f"[!.]*/{MANIFEST}"))

    def step_names(self) -> list[str]:
        """The name of every `step_N` directory, whole or not, the smallest N first."""
        found = {path.name: _STEP.fullmatch(path.name) for path in self.directory.glob("step_*") if path.is_dir()}
        return sorted((name for name, match in found.items() if match), key=_steps)

    def remove(self, name: str) -> None:
        """Removes one checkpoint, and first its name, so that no reader takes a half removed one for whole."""
        former = self.directory / f".{name}.{os.getpid()}.old"
        with contextlib.suppress(OSError):
            os.rename(self.directory / name, former)
        shutil.rmtree(former, ignore_errors=True)

    def prune(self, keep: int, *, keep_every: int = 0) -> None:
        """Removes `step_N` checkpoints, and drafts that a crash left.

        Keeps the `keep` newest, those pointed at, and those whose N is a multiple of keep_every (0: none). The
        untrained one, of step 0, does not count as a multiple.
        """
        for path in [*self.directory.glob(".*.new"), *self.directory.glob(".*.old")]:
            if not _is_anothers(path):
                with contextlib.suppress(OSError):  # the next one to prune tries again
                    remove_any(path)
        pointed = {self._pointed(path.name) for path in self.directory.glob("[!.]*") if path.is_file()}
        whole = self.names()
        steps = [name for name in self.step_names() if name in whole]
        for name in steps[:-keep]:
            if name not in pointed and not (keep_every and _steps(name) and _steps(name) % keep_every == 0):
                self.remove(name)

    def _pointed(self, pointer: str) -> str | None:
        try:
            return read_file(self.directory / pointer, _MAX_POINTER_BYTES).decode(errors="replace").strip()
        except InputOutputError:
            return None  # no pointer has this name

    def _is_directory(self, name: str) -> bool:
        """Whether a directory in this one has the name: a pointer leads nowhere else."""
        return name not in ("", ".", "..") and "/" not in name and os.path.isdir(self.directory / name)

    def _point(self, pointer: str, name: str) -> None:
        path = self.directory / pointer
        if path.is_dir() and not path.is_symlink():  # mzpipe did not make it: it is moved away, not removed
            os.rename(path, path.with_suffix(".directory"))
        replace_file(path, name.encode())


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file; raises CheckpointError if it cannot be read, or if one is not finite."""
    data = read_file(path, _MAX_FILE_BYTES)
    with _reading(path):
        try:
            weights = load_tensors(data)
        except KeyError as error:
            raise ValueError(f"numpy has no type {error}: save its tensors as float32") from None
        _check_finite(path.name, weights)
    return weights


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises CheckpointError for whatever is wrong with the contents that the block reads."""
    try:
        yield
    except (KeyError, ValueError, TypeError, SafetensorError, msgpack.UnpackException) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    except NotFiniteError as error:
        raise CheckpointError(f"{path}: cannot be used: {error}") from None


def _check_finite(file_name: str, tensors: Mapping[str, np.ndarray]) -> None:
    for name, array in sorted(tensors.items()):
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{name} in {file_name} is not finite")


def _check(path: Path, checkpoint: Checkpoint) -> None:
    """Raises NotFiniteError with the first tensor that holds NaN or infinity, CheckpointError for a wrong state."""
    _check_finite(_WEIGHTS, checkpoint.weights)
    _check_finite(_OPTIMIZER, checkpoint.optimizer)
    fault = fault_of_state(checkpoint.state)
    if fault is not None:
        raise CheckpointError(f"{path}: damaged checkpoint: {fault}")


def _is_anothers(path: Path) -> bool:
    """Whether a draft belongs to another live process: two roles save into one directory."""
    pid = path.name.split(".")[-2]
    return pid != str(os.getpid()) and pid in map(str, psutil.pids())


def _manifest(files: Mapping[str, bytes]) -> bytes:
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    return json.dumps({"format": _FORMAT_VERSION, "files": entries}, indent=1).encode()


def _verified_files(path: Path) -> dict[str, bytes]:
    try:
        manifest = read_json(path / MANIFEST, _MAX_MANIFEST_BYTES)
        format_version, entries = manifest["format"], manifest["files"]
        hashes = {name: str(entries[name]["sha256"]) for name in (_WEIGHTS, _OPTIMIZER, _STATE)}
        if format_version != _FORMAT_VERSION:
            raise InputOutputError(f"{path / MANIFEST}: format {format_version!r}, this program has {_FORMAT_VERSION}")
        return {name: _verified(path / name, hashes[name]) for name in hashes}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint: {MANIFEST}: {error!r:.100}") from None
    except CheckpointError:
        raise
    except InputOutputError as error:
        raise CheckpointError(f"{path}: damaged checkpoint: {error}") from None


def _verified(path: Path, sha256: str) -> bytes:
    data = read_file(path, _MAX_FILE_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"{path}: damaged: SHA-256 does not match the manifest ({len(data)} bytes)")
    return data
