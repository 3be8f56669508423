"""Lets each named writer meet every refusal; prints what was wrong. Run by test_writers.py, with refuse.c loaded."""

import ctypes
import errno
import json
import os
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

from mzpipe.errors import InputOutputError
from tests.full_disk import writers
from tests.full_disk.writers import Writer

NOWHERE = -1
ONE, FULL, READ_ONLY = range(3)
WAYS = [
    *((ONE, number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)),
    *((FULL, number) for number in (errno.ENOSPC, errno.EDQUOT)),
    (READ_ONLY, errno.EROFS),
]


class Disk:
    """The library in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.refuse_kinds.restype = self._library.refuse_name.restype = ctypes.c_char_p

    def begin(self, root: Path, at: int, number: int = 0, mode: int = ONE) -> None:
        self._library.refuse_begin(bytes(root), ctypes.c_long(at), number, mode)

    def end(self) -> int:
        return self._library.refuse_end()

    def calls(self) -> list[str]:
        kinds = self._library.refuse_kinds().decode()
        return [f"{kind} {self._library.refuse_name(at).decode()}" for at, kind in enumerate(kinds)]


def tried(disk: Disk, kind: type[Writer], home: Path, at: int, number: int = 0, mode: int = ONE) -> int:
    """Lets a writer meet one refusal; returns how many calls were refused."""
    with TemporaryDirectory(dir=home) as name:
        root, beside = Path(name) / "disk", Path(name) / "beside"
        if kind is writers.LearnersCheckpoints:  # a model takes long to build, so all meet the same learner
            root = home / "learner"
        for path in (root, beside):
            path.mkdir(exist_ok=True)
        writer = kind(root, beside)
        descriptors, raised = len(os.listdir("/proc/self/fd")), ""
        disk.begin(root, at, number, mode)
        try:
            writer.write()
        except InputOutputError as error:
            raised, writer.has_failed = str(error), True
        finally:
            refusals = disk.end()
        if raised:
            assert not kind.is_quiet, f"it raised {raised}"
            assert "\n" not in raised and os.strerror(number) in raised, raised
        if mode == FULL:
            assert not list(root.rglob("*.new")) and not list(root.rglob("*.old")), "a draft is left"
            assert all(path.stat().st_size for path in root.rglob("events*")), "an empty event file is left"
        writer.look()
        writer.again()
        writer.close()
        assert len(os.listdir("/proc/self/fd")) <= descriptors or kind.keeps_files_open, "a descriptor is left"
        return refusals


def faults(disk: Disk, kind: type[Writer], home: Path) -> dict[str, object]:
    """Everything that was wrong with one writer, and how many refusals it has met."""
    tried(disk, kind, home, NOWHERE)
    calls, found, met = disk.calls(), [], 0
    for mode, number in WAYS:
        for at, call in enumerate(calls):
            if mode != ONE and call[0] != "g":
                continue
            try:
                met += tried(disk, kind, home, at, number, mode) > 0
            except Exception:
                where = f"{('one', 'full', 'read-only')[mode]} {errno.errorcode[number]} from {call} ({at})"
                found.append(f"{where}: {traceback.format_exc(limit=-3)}")
    return {"calls": calls, "met": met, "faults": found}


def main(home: Path, names: list[str]) -> None:
    disk = Disk()
    writers.faults.named = dict  # a batch of one field, and not of all fields
    for name in names:
        place = home / name
        place.mkdir()
        sys.stdout.write(json.dumps({"writer": name, **faults(disk, getattr(writers, name), place)}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
