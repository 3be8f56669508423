"""Files that are on disk when a call returns, so that a power cut leaves the old or the new, never half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mzpipe.errors import InputOutputError


@contextmanager
def file_errors(verb: str, path: Path) -> Iterator[None]:
    """Raises InputOutputError "cannot VERB PATH: reason" for an OSError of its block."""
    try:
        yield
    except OSError as error:
        raise InputOutputError(f"cannot {verb} {path}: {error.strerror or error}") from error


def write_synced(path: Path, data: bytes) -> None:
    """Writes a whole file; its name is on disk after `sync_directory`. Raises OSError."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Returns when the names in a directory are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
