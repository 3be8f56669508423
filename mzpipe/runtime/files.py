"""Files that are on disk when a call returns, so that a power cut leaves the old or the new, never half of one."""

import os
from pathlib import Path


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
