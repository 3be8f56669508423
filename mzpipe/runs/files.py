"""The one way to replace a file or a directory on disk: a draft takes its name once it is on disk.

After a crash or a power cut the name leads either to the old contents or to the new ones, whole. A draft is called
.NAME.PID.new and stands next to what it replaces. Scratch files, and files in shared memory, which do not survive a
power cut, are written without a draft.
"""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputOutputError

Buffer = bytes | bytearray | memoryview
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def file_errors(verb: str, path: Path) -> Iterator[None]:
    """Raises InputOutputError "cannot VERB PATH: reason" for an OSError of its block."""
    try:
        yield
    except OSError as error:
        raise InputOutputError(f"cannot {verb} {path}: {error.strerror or error}") from error


class FileOperations:
    """The operating system's calls, gathered here so that a test can make one fail; each raises OSError."""

    # Permissions of a new file, before the umask is applied.
    mode = 0o666

    def create(self, path: Path) -> int:
        """Opens a new or emptied file for writing; returns its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, self.mode)

    def write(self, descriptor: int, buffers: Sequence[Buffer]) -> int:
        """Writes the buffers, perhaps only in part; returns the number of bytes written."""
        return os.writev(descriptor, buffers)

    def sync(self, descriptor: int) -> None:
        """Returns when the file is on disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Frees the descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Renames a file, perhaps over another one, or a directory to a free name."""
        os.rename(source, target)

    def remove(self, path: Path) -> None:
        """Removes a file or a directory; it is no error if it is already gone."""
        remove_any(path)

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in a directory are on disk."""
        _sync(path)

    def truncate(self, descriptor: int, nbytes: int) -> None:
        """Cuts a file."""
        os.ftruncate(descriptor, nbytes)

    def free_bytes(self, path: Path) -> int:
        """Room that is left for this user."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


class PrivateFileOperations(FileOperations):
    """For files that only their owner may read."""

    mode = 0o600


def write_all(operations: FileOperations, descriptor: int, data: Buffer) -> None:
    """Writes every byte; raises OSError."""
    rest = memoryview(data)
    while rest:
        count = operations.write(descriptor, [rest])
        if count == 0:
            raise OSError(0, "nothing was written")
        rest = rest[count:]


def replace_file(path: Path, data: Buffer, operations: FileOperations | None = None) -> None:
    """Replaces a file's contents; raises OSError."""
    operations = operations or FileOperations()
    with _draft(path, operations) as draft:
        descriptor = operations.create(draft)
        try:
            write_all(operations, descriptor, data)
            operations.sync(descriptor)
        finally:
            operations.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, *, exchange: bool = False) -> Iterator[Path]:
    """Yields the path of a draft, at which the block makes a file or a directory of files; raises OSError.

    A directory needs a free name, unless `exchange` is set: then it replaces another directory, which is removed.
    """
    with _draft(path, _Exchange() if exchange else FileOperations()) as draft:
        yield draft
        for file in sorted(draft.iterdir()) if draft.is_dir() else ():
            _sync(file)
        _sync(draft)


def remove_any(path: Path) -> None:
    """Removes a file, or as much of a directory as possible; it is no error if it is already gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _draft(path: Path, operations: FileOperations) -> Iterator[Path]:
    """Yields a draft's path; what the block puts there takes the name `path`, unless it raises."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    remove_any(draft)  # left by a killed process that had the same pid
    try:
        yield draft
        operations.rename(draft, path)
        operations.sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):  # removes the draft after a failure, or the old directory after an exchange
            operations.remove(draft)


class _Exchange(FileOperations):
    def rename(self, source: Path, target: Path) -> None:
        """Gives a directory the target's name; if another directory has that name, it gets the source's.

        The two change places atomically if the file system can do that; if not, the name is missing for a moment.
        """
        if not target.exists():
            os.rename(source, target)
            return
        library = ctypes.CDLL(None, use_errno=True)
        if library.renameat2(_AT_FDCWD, bytes(source), _AT_FDCWD, bytes(target), _RENAME_EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise OSError(number, os.strerror(number), str(target))
        former = source.with_suffix(".old")
        os.rename(target, former)
        os.rename(source, target)
        os.rename(former, source)


def _sync(path: Path) -> None:
    """Returns when a file's contents, or the names in a directory, are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
