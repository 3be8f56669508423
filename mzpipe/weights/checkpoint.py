"""Checkpoints: the model on disk, written so that a crash leaves the former one or the new one, whole.

    checkpoints/step_00002000/weights.safetensors   tensors of the model
                              optimizer.safetensors tensors of the optimiser (not in `best`)
                              state.msgpack         counters and plain settings
                              manifest.json         SHA-256 and size of each file; written last
    checkpoints/latest, checkpoints/best            text: the directory's name

A directory gets its name by one rename after every file and the directory
itself are on disk; a pointer file is replaced by one rename.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..errors import CheckpointError

Tensors = Mapping[str, np.ndarray]
MANIFEST = "manifest.json"
_WEIGHTS, _OPTIMIZER, _STATE = "weights.safetensors", "optimizer.safetensors", "state.msgpack"
_FORMAT_VERSION = 1


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    weights: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    state: dict[str, Any]


class CheckpointStore:
    """The checkpoints directory of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, name: str, checkpoint: Checkpoint, *, pointer: str) -> Path:
        """Writes `checkpoint` as `name`, then lets `pointer` name it; raises CheckpointError."""
        files = {
            _WEIGHTS: save_tensors(checkpoint.weights),
            _OPTIMIZER: save_tensors(checkpoint.optimizer),
            _STATE: msgpack.packb(checkpoint.state),
        }
        draft = self.directory / f".{name}.{os.getpid()}.new"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            for file_name, data in files.items():
                _write(draft / file_name, data)
            _write(draft / MANIFEST, _manifest(files))
            _sync_directory(draft)
            self._replace(draft, name)
            _sync_directory(self.directory)
            self._point(pointer, name)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise CheckpointError(f"{self.directory / name}: cannot be saved: {error.strerror}") from error
        return self.directory / name

    def load(self, pointer_or_name: str) -> Checkpoint:
        """The named checkpoint, every file verified; raises CheckpointError naming file and fault."""
        path = self.directory / self.resolve(pointer_or_name)
        files = _verified_files(path)
        try:
            return Checkpoint(
                load_tensors(files[_WEIGHTS]),
                load_tensors(files[_OPTIMIZER]),
                msgpack.unpackb(files[_STATE], max_ext_len=0),
            )
        except (KeyError, ValueError, SafetensorError, msgpack.UnpackException) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from None

    def resolve(self, pointer_or_name: str) -> str:
        """Directory name behind `latest`, `best` or a plain name; raises CheckpointError when there is none."""
        pointer = self.directory / pointer_or_name
        name = pointer.read_text().strip() if pointer.is_file() else pointer_or_name
        if not (self.directory / name).is_dir():
            known = ", ".join(self.names()) or "none"
            raise CheckpointError(f"{pointer}: no such checkpoint; there are: {known}")
        return name

    def names(self) -> list[str]:
        """Whole checkpoints, oldest name first."""
        return sorted(path.parent.name for path in self.directory.glob(f"[!.]*/{MANIFEST}"))

    def remove(self, name: str) -> None:
        """Removes one checkpoint."""
        shutil.rmtree(self.directory / name, ignore_errors=True)

    def prune(self, keep: int) -> None:
        """Removes all but the `keep` newest `step_` checkpoints, and drafts that a crash left."""
        for pattern in (".*.new", ".*.old"):
            for path in self.directory.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)
        steps = [name for name in self.names() if name.startswith("step_")]
        for name in steps[:-keep]:
            self.remove(name)

    def _replace(self, draft: Path, name: str) -> None:
        """Gives the draft its name; a checkpoint that has it already is moved away first, then removed."""
        final, former = self.directory / name, self.directory / f".{name}.{os.getpid()}.old"
        if final.exists():
            os.rename(final, former)
        os.rename(draft, final)
        shutil.rmtree(former, ignore_errors=True)

    def _point(self, pointer: str, name: str) -> None:
        draft = self.directory / f".{pointer}.{os.getpid()}"
        _write(draft, name.encode())
        os.replace(draft, self.directory / pointer)
        _sync_directory(self.directory)


def _manifest(files: Mapping[str, bytes]) -> bytes:
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    return json.dumps({"format": _FORMAT_VERSION, "files": entries}, indent=1).encode()


def _verified_files(path: Path) -> dict[str, bytes]:
    try:
        entries = json.loads((path / MANIFEST).read_bytes())["files"]
        files = {name: (path / name).read_bytes() for name in (_WEIGHTS, _OPTIMIZER, _STATE)}
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint: {error}") from None
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != entries.get(name, {}).get("sha256"):
            raise CheckpointError(f"{path / name}: damaged: its SHA-256 is not the manifest's ({len(data)} bytes)")
    return files


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
