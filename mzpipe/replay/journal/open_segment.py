"""OpenSegment: the segment file that is being written, and how much of it is whole and on disk.

    | file header | record | ... | record | record | half a record
                                 ^ synced_bytes    ^ whole_bytes

V1  Bytes up to synced_bytes are on disk for certain; synced_serial is the last one there.
V2  Bytes up to whole_bytes are whole records. Only a failed write leaves bytes after them, and nothing more is
    written to the segment then.
V3  After a failed sync, nothing after synced_bytes is trusted: a second sync would report success falsely.
"""

import contextlib
from collections import deque
from pathlib import Path
from typing import NamedTuple

from ...runs.files import PrivateFileOperations, write_all
from .counts import Counts
from .format import FILE_HEADER_BYTES, JournalLayout, file_header, seal
from .manifest import NONE, SegmentEntry

# The size of one write call: large, so calls cost nothing, with fewer buffers than the system's limit of 1024.
WRITE_BYTES, WRITE_RECORDS = 4 << 20, 512


class Encoded(NamedTuple):
    """A record on its way to the disk."""

    buffer: bytearray
    serial: int
    length: int
    appended_s: float


class OpenSegment:
    """A new segment file with its header on disk; every method but abandon() and release() raises OSError."""

    def __init__(
        self, directory: Path, number: int, layout: JournalLayout, counts: Counts, operations: PrivateFileOperations
    ) -> None:
        self.number = number
        self.whole_bytes = self.synced_bytes = FILE_HEADER_BYTES
        self.first_serial = self.last_serial = self.synced_serial = NONE
        self.unsynced_records = self.unsynced_transitions = 0
        self.oldest_unsynced_s = 0.0
        self._counts, self._operations = counts, operations
        self._sync_failed = False
        self._descriptor = operations.create(directory / SegmentEntry(number).name)
        try:
            write_all(operations, self._descriptor, file_header(layout, number))
            operations.sync(self._descriptor)
            operations.sync_directory(directory)
        except OSError:
            self.release()
            raise

    @property
    def is_durable(self) -> bool:
        """Whether it holds a record that is on disk for certain."""
        return self.synced_serial != NONE

    def has_room(self, nbytes: int, segment_bytes: int) -> bool:
        """Whether a record still fits here; the first one always does, however large."""
        return self.first_serial == NONE or self.whole_bytes + nbytes <= segment_bytes

    def write_some(self, batch: deque[Encoded], segment_bytes: int) -> None:
        """Writes as many records from the front of the batch as one call takes, and removes them from the batch."""
        group: list[memoryview] = []
        end = self.whole_bytes
        for record in batch:
            end += len(record.buffer)
            full = end > segment_bytes or end - self.whole_bytes > WRITE_BYTES or len(group) == WRITE_RECORDS
            if group and full:
                break
            seal(record.buffer, self.synced_bytes)
            group.append(memoryview(record.buffer))
        written = 0
        while group:
            count = self._operations.write(self._descriptor, group)
            if count == 0:
                raise OSError(0, "nothing was written")
            written += count
            while group and written >= len(batch[0].buffer):
                written -= len(batch[0].buffer)
                self._wrote(batch.popleft())
                del group[0]
            if group:
                group[0] = memoryview(batch[0].buffer)[written:]

    def sync(self) -> None:
        """Makes whole_bytes durable, and counts the transitions that it made durable."""
        if self.unsynced_records == 0:
            return
        try:
            self._operations.sync(self._descriptor)
        except OSError:
            self._sync_failed = True
            raise
        self.synced_bytes, self.synced_serial = self.whole_bytes, self.last_serial
        self._counts.written_transitions += self.unsynced_transitions
        self._counts.durable_serial = self.synced_serial
        self.unsynced_records = self.unsynced_transitions = 0

    def abandon(self) -> None:
        """Ends the segment after an error: saves whole records unless a sync has failed, counts the rest as lost."""
        if not self._sync_failed:
            with contextlib.suppress(OSError):
                self._operations.truncate(self._descriptor, self.whole_bytes)
            with contextlib.suppress(OSError):
                self.sync()
        if self.unsynced_records:
            self._counts.lost_transitions += self.unsynced_transitions
            with contextlib.suppress(OSError):
                self._operations.truncate(self._descriptor, self.synced_bytes)
        self.release()

    def release(self) -> None:
        """Frees the descriptor: everything that matters was synced, or is not trusted."""
        with contextlib.suppress(OSError):
            self._operations.close(self._descriptor)

    def entry(self, *, torn: bool) -> SegmentEntry:
        """The segment's entry in the manifest once it is closed."""
        return SegmentEntry(self.number, self.synced_bytes, self.first_serial, self.synced_serial, torn)

    def _wrote(self, record: Encoded) -> None:
        if self.first_serial == NONE:
            self.first_serial = record.serial
        if self.unsynced_records == 0:
            self.oldest_unsynced_s = record.appended_s
        self.last_serial = record.serial
        self.whole_bytes += len(record.buffer)
        self.unsynced_records += 1
        self.unsynced_transitions += record.length
