"""The only place of the journal that changes files: single operations, and the atomic replacement of a file.

Everything goes through a FileOperations, so a test can make the n-th one fail, hang or be forgotten.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from ...runs.files import sync_directory

Buffer = bytes | bytearray | memoryview


class FileOperations:
    """The operating system's calls; each raises OSError."""

    def create(self, path: Path) -> int:
        """Descriptor of a new or emptied file, for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def write(self, descriptor: int, buffers: Sequence[Buffer]) -> int:
        """Bytes written, which may be fewer than there are."""
        return os.writev(descriptor, buffers)

    def sync(self, descriptor: int) -> None:
        """Returns when the file is on disk."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, nbytes: int) -> None:
        """Cuts the file."""
        os.ftruncate(descriptor, nbytes)

    def close(self, descriptor: int) -> None:
        """Frees the descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file another's name."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Removes a name; one that is gone already is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in a directory are on disk."""
        sync_directory(path)

    def free_bytes(self, path: Path) -> int:
        """Room left for this user."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


def write_all(operations: FileOperations, descriptor: int, data: Buffer) -> None:
    """Writes every byte; raises OSError."""
    rest = memoryview(data)
    while rest:
        count = operations.write(descriptor, [rest])
        if count == 0:
            raise OSError(0, "nothing was written")
        rest = rest[count:]


def replace_file(operations: FileOperations, path: Path, data: Buffer) -> None:
    """Replaces a file's contents: a crash leaves the former file or the new one, whole; raises OSError."""
    draft = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        descriptor = operations.create(draft)
        try:
            write_all(operations, descriptor, data)
            operations.sync(descriptor)
        finally:
            operations.close(descriptor)
        operations.rename(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            operations.remove(draft)
        raise
    operations.sync_directory(path.parent)
