"""The one way to read a file of a run directory, which may be a stranger's: only plain files, of a bounded size.

No read waits or ends the process: a pipe without a writer, a device without an end, and a file larger than its bound
or than the memory that is free are refused before they are read. Under /dev lies what the user's own shell names, such
as <(...): it is read like a file, up to the bound.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from .errors import InputOutputError

_LARGE_BYTES, _PART_BYTES = 1 << 26, 1 << 20
_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def open_plain(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Opens a plain file for reading; raises InputOutputError for anything else, and OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer opens at once
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise InputOutputError(f"{path}: {_KINDS.get(stat.S_IFMT(mode), 'not a plain file')}, where a file should be")
    return open(descriptor, "rb", buffering=buffering)


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file; raises InputOutputError if it is missing, no plain file, or larger than `max_bytes`."""
    try:
        with open(path, "rb") if path.parts[:2] == ("/", "dev") else open_plain(path) as file:
            nbytes = os.fstat(file.fileno()).st_size
            max_bytes = min(max_bytes, psutil.virtual_memory().available) if nbytes > _LARGE_BYTES else max_bytes
            data = _read(file, nbytes, max_bytes + 1) if nbytes <= max_bytes else b""
    except OSError as error:
        raise InputOutputError(f"{path}: cannot be read: {error.strerror}") from None
    if max(nbytes, len(data)) > max_bytes:
        raise InputOutputError(f"{path}: {max(nbytes, len(data))} bytes, at most {max_bytes}")
    return data


def _read(file: BinaryIO, nbytes: int, most: int) -> bytes:
    """The first `most` bytes of a file that says it has `nbytes`; asks for no memory beyond what it has."""
    parts, size = [], nbytes + 1
    while most and (part := file.read(min(size, most))):
        parts.append(part)
        most, size = most - len(part), _PART_BYTES
    return b"".join(parts)


def read_json(path: Path, max_bytes: int) -> Any:
    """The JSON of a file; raises InputOutputError as read_file does, and if it is not JSON."""
    try:
        return json.loads(read_file(path, max_bytes))
    except (ValueError, RecursionError) as error:
        raise InputOutputError(f"{path}: not JSON: {error}") from None
