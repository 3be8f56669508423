"""A segment: one file under /dev/shm, mapped by the processes of a run.

    0        8                16       24                 64
    | magic  | layout version | nbytes | ...zero           | payload ...

V1  The file is created O_EXCL | O_NOFOLLOW with mode 0600 in a 0700 directory.
V2  Its pages are reserved (posix_fallocate) before any process maps it: a full
    /dev/shm is an error here and never a SIGBUS later.
V3  The header is written before the file gets its final name, so every process
    that can open a segment sees a whole header.
"""

import errno
import mmap
import os
from pathlib import Path

import numpy as np

from ..errors import InputOutputError, PlanError

LAYOUT_VERSION = 4
HEADER_BYTES = 64
_MAGIC = 0x6D7A70697065  # "mzpipe"


class Segment:
    """A mapping of one segment file; `create` makes the file, `attach` finds it."""

    def __init__(self, path: Path, buffer: mmap.mmap) -> None:
        self.path = path
        self.buffer = buffer

    @classmethod
    def create(cls, path: Path, payload_bytes: int) -> "Segment":
        """Reserves, zeroes and maps a new segment.

        Raises PlanError when the file system cannot hold it, InputOutputError when
        the file exists or cannot be made.
        """
        nbytes = HEADER_BYTES + payload_bytes
        draft = path.with_name(f".{path.name}.new")
        descriptor = _open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            _reserve(descriptor, nbytes, path)
            segment = cls(path, _map(descriptor, nbytes))
            np.ndarray((3,), "int64", segment.buffer)[:] = (_MAGIC, LAYOUT_VERSION, nbytes)
            os.link(draft, path)
        except OSError as error:
            raise InputOutputError(f"{path}: cannot create the segment: {error}") from error
        finally:
            os.close(descriptor)
            os.unlink(draft)
        return segment

    @classmethod
    def attach(cls, path: Path, payload_bytes: int) -> "Segment":
        """Maps an existing segment; raises InputOutputError when it is missing or has another layout."""
        descriptor = _open(path, os.O_RDWR)
        try:
            nbytes = os.fstat(descriptor).st_size
            if nbytes != HEADER_BYTES + payload_bytes:
                raise InputOutputError(f"{path}: {nbytes} bytes, expected {HEADER_BYTES + payload_bytes}")
            segment = cls(path, _map(descriptor, nbytes))
        finally:
            os.close(descriptor)
        magic, version, _ = np.ndarray((3,), "int64", segment.buffer)
        if magic != _MAGIC or version != LAYOUT_VERSION:
            raise InputOutputError(f"{path}: layout version {version}, this program has {LAYOUT_VERSION}")
        return segment


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputOutputError(f"{path}: {error.strerror}") from error


def _reserve(descriptor: int, nbytes: int, path: Path) -> None:
    try:
        os.posix_fallocate(descriptor, 0, nbytes)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
        free = os.statvfs(path.parent)
        raise PlanError(
            f"{path}: needs {nbytes} bytes, {free.f_bavail * free.f_frsize} are free: "
            "lower topology.*_ring_slots, actor.trajectory_length or learner.batch_size, or enlarge /dev/shm"
        ) from None


def _map(descriptor: int, nbytes: int) -> mmap.mmap:
    return mmap.mmap(descriptor, nbytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
