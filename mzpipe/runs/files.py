"""The one way in which a file or a directory on disk is replaced: a draft takes its name once it is on disk.

After a crash or a power cut the name leads to what was there before or to the new contents, whole. A draft is called
.NAME.PID.new and stands next to what it replaces. Scratch files and files in shared memory, which no power cut
survives, are written without it.
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
    """The operating system's calls, so that a test can make one fail; each raises OSError."""

    # Permissions of a new file, less the umask.
    mode = 0o666

    def create(self, path: Path) -> int:
        """Descriptor of a new or emptied file, for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, self.mode)

    def write(self, descriptor: int, buffers: Sequence[Buffer]) -> int:
        """Bytes written, which may be fewer than there are."""
        return os.writev(descriptor, buffers)

    def sync(self, descriptor: int) -> None:
        """Returns when the file is on disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Frees the descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file another's name; a directory one that is free."""
        os.rename(source, target)

    def remove(self, path: Path) -> None:
        """Removes a file or a directory; one that is gone already is no error."""
        remove_any(path)

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in a directory are on disk."""
        _sync(path)


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
    """The draft of `path`, which the block makes a file or a directory of files; raises OSError.

    A directory needs a free name. With `exchange` it takes the name of another one, which is removed.
    """
    with _draft(path, _Exchange() if exchange else FileOperations()) as draft:
        yield draft
        for file in sorted(draft.iterdir()) if draft.is_dir() else ():
            _sync(file)
        _sync(draft)


def remove_any(path: Path) -> None:
    """Removes a file, or a directory as far as that is possible; one that is gone already is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _draft(path: Path, operations: FileOperations) -> Iterator[Path]:
    """A draft's path; what the block has put there takes the name `path`, unless it raises."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    remove_any(draft)  # of a process that had our pid and was killed
    try:
        yield draft
        operations.rename(draft, path)
        operations.sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):  # after a failure; and what had the name before may have the draft's now
            operations.remove(draft)


class _Exchange(FileOperations):
    def rename(self, source: Path, target: Path) -> None:
        """Gives a directory its name; one that has the name gets the other's.

        The two change places at once where the file system can do that; elsewhere the name is missing for a moment.
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
