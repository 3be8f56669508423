"""JournalContents: a journal that was read, ready to fill a table and to be continued."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ...errors import InputOutputError
from ...reading import open_plain
from ...runs.files import PrivateFileOperations
from .format import JournalLayout, StoredTrajectory
from .manifest import NONE, SegmentEntry
from .scan import START_ANEW, Bad, records
from .state import JournalState


class JournalContents:
    """The findings of read_journal(); segments are in order, each with its first and last serial and its whole bytes.

    `notes` tells the user what is cut or ignored. `state` is None if it is missing or damaged.
    """

    def __init__(
        self,
        directory: Path,
        layout: JournalLayout,
        segments: tuple[SegmentEntry, ...],
        *,
        state: JournalState | None,
        state_bytes: int,
        notes: list[str],
        next_segment_number: int,
        cuts: dict[Path, int],
        leftovers: list[Path],
    ) -> None:
        self.directory, self.layout, self.segments = directory, layout, segments
        self.state, self.state_bytes, self.notes = state, state_bytes, notes
        self.next_segment_number = next_segment_number
        self.is_repaired = False
        self._cuts, self._leftovers = cuts, leftovers

    @property
    def last_serial(self) -> int:
        """The newest serial, or -1; the next trajectory's must be larger."""
        return max((entry.last_serial for entry in self.segments), default=NONE)

    def trajectories(self) -> Iterator[StoredTrajectory]:
        """Yields every trajectory by ascending serial, with one in memory at a time.

        Raises InputOutputError, with file and offset, at the first byte that is not as it was written.
        """
        last_serial = NONE
        for entry in self.segments:
            for record in self._segment(entry):
                if record.serial <= last_serial:
                    raise _damaged(self.directory / entry.name, f"serial {record.serial} does not follow {last_serial}")
                last_serial = record.serial
                yield record

    def repair(self) -> None:
        """Makes the cuts that `notes` announces and removes leftovers; raises InputOutputError. Twice is fine."""
        operations = PrivateFileOperations()
        try:
            for path, nbytes in self._cuts.items():
                _cut(operations, path, nbytes)
            for path in self._leftovers:
                operations.remove(path)
            operations.sync_directory(self.directory)
        except OSError as error:
            raise InputOutputError(f"{self.directory}: cannot be repaired: {error.strerror}") from error
        self.is_repaired = True

    def _segment(self, entry: SegmentEntry) -> Iterator[StoredTrajectory]:
        path, nbytes = self.directory / entry.name, entry.bytes or 0
        if not nbytes:
            return
        first_serial = serial = NONE
        try:
            with open_plain(path, buffering=1 << 20) as file:
                for record in records(file, self.layout, entry.number, nbytes):
                    if isinstance(record, Bad):
                        raise _damaged(path, f"offset {record.offset}: {record.why}")
                    serial = record.serial
                    first_serial = serial if first_serial == NONE else first_serial
                    yield record
        except OSError as error:
            raise InputOutputError(f"{path}: cannot be read: {error.strerror}") from error
        if (first_serial, serial) != (entry.first_serial, entry.last_serial):
            raise _damaged(path, f"serials {first_serial} to {serial}, not {entry.first_serial} to {entry.last_serial}")


def _damaged(path: Path, what: str) -> InputOutputError:
    return InputOutputError(f"{path}, {what}: the file is damaged. Restore it from a copy, {START_ANEW}")


def _cut(operations: PrivateFileOperations, path: Path, nbytes: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        operations.truncate(descriptor, nbytes)
        operations.sync(descriptor)
    finally:
        with contextlib.suppress(OSError):
            operations.close(descriptor)
