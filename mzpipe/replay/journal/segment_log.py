"""SegmentLog: all changes of the journal's files, step by step; it runs in the journal's own thread.

What follows an OSError in each operation:

    writing, syncing,      as much of the open segment as possible is saved, and it is closed; suspended: records are
    beginning a segment    counted and dropped, and a new segment is tried every retry_s seconds
    saving the state       the former file stays; the next state tries again
    forgetting             no segment is deleted; forget() returns False, to be called again

V1  A number is used again only while none of its segment's records is durable.
V2  A segment that a manifest may have named stays named until its file may go.
"""

import contextlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ...runs.files import PrivateFileOperations, replace_file
from .counts import Counts, Outage
from .format import JournalLayout
from .manifest import MANIFEST, NONE, Manifest, SegmentEntry, encode_manifest
from .open_segment import Encoded, OpenSegment
from .state import STATE


class SegmentLog:
    """Owns the files of one journal; no method raises OSError or waits for anything but the disk."""

    def __init__(
        self,
        directory: Path,
        layout: JournalLayout,
        counts: Counts,
        *,
        closed: Sequence[SegmentEntry] = (),
        next_number: int = 1,
        state_bytes: int = 0,
        segment_bytes: int,
        retry_s: float,
        operations: PrivateFileOperations,
    ) -> None:
        self.suspended = False
        self.retry_at_s = 0.0
        self.open: OpenSegment | None = None
        self._directory, self._layout, self._counts = directory, layout, counts
        self._closed = [entry for entry in closed if entry.last_serial != NONE]
        self._struck_off = [entry for entry in closed if entry.last_serial == NONE]
        self._next_number = next_number
        self._next_is_named = self._started = False
        self._state_bytes = state_bytes
        self._segment_bytes, self._retry_s, self._operations = segment_bytes, retry_s, operations
        self._outage, self._state_outage = Outage(counts), Outage(counts)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of segments and state."""
        segment = self.open
        closed = sum(entry.bytes or 0 for entry in [*self._closed, *self._struck_off])
        return closed + (segment.whole_bytes if segment is not None else 0) + self._state_bytes

    def resume(self, now_s: float) -> None:
        """Begins the journal on the first call, and a new segment when a suspension's time is over."""
        if now_s < self.retry_at_s if self.suspended else self._started:
            return
        try:
            if not self._started:
                self._write_manifest()
                self._operations.sync_directory(self._directory.parent)
                self._started = True
            if self.suspended:
                self._begin()
            self.suspended = False
        except OSError as error:
            self._suspend(error, now_s)

    def write(self, batch: deque[Encoded], now_s: float) -> None:
        """Writes the records, beginning segments as they fill; the batch is empty afterwards."""
        try:
            while batch and not self.suspended:
                self._make_room(len(batch[0].buffer)).write_some(batch, self._segment_bytes)
        except OSError as error:
            self._suspend(error, now_s)
        self._counts.lost_transitions += sum(record.length for record in batch)
        batch.clear()

    def sync(self, now_s: float) -> None:
        """Makes everything written durable, which ends an outage."""
        if self.open is None:
            return
        try:
            self.open.sync()
        except OSError as error:
            self._suspend(error, now_s)
            return
        if self.open.is_durable:
            name = self._directory / self.open.entry(torn=False).name
            self._outage.end(f"{name}: the journal continues; {{missing}} transitions are missing from it")

    def forget(self, first_kept_serial: int) -> bool:
        """Deletes the oldest segments whose serials are all smaller; returns False if it must be called again."""
        doomed = 0
        while doomed < len(self._closed) and self._closed[doomed].last_serial < first_kept_serial:
            doomed += 1
        former = self._closed
        try:
            if doomed:
                self._closed = former[doomed:]
                self._write_manifest()
        except OSError:
            self._closed = former
            return False
        self._struck_off += former[:doomed]
        return self._started and self._remove_struck_off()

    def save_state(self, data: bytearray) -> None:
        """Replaces the state file."""
        path = self._directory / STATE
        try:
            replace_file(path, data, self._operations)
        except OSError as error:
            self._state_outage.begin(f"{path}: cannot be saved: {error.strerror}; the former one stays. {self._room()}")
            return
        self._state_bytes = len(data)
        self._state_outage.end(f"{path}: saved again")

    def close(self, now_s: float) -> None:
        """Syncs, and writes the last segment's end into the manifest."""
        self.sync(now_s)
        if self.open is None:
            return
        self.open.release()
        self._retire(torn=False)
        with contextlib.suppress(OSError):  # without it the segment is whole too, and the next start scans it
            self._write_manifest()

    def _make_room(self, nbytes: int) -> OpenSegment:
        if self.open is not None and not self.open.has_room(nbytes, self._segment_bytes):
            self.open.sync()
            self.open.release()
            self._retire(torn=False)
        if self.open is None:
            self._begin()
        assert self.open is not None
        return self.open

    def _begin(self) -> None:
        """Begins a segment in the order of V1 in `manifest`: the file, its header and its name, then the manifest."""
        segment = OpenSegment(self._directory, self._next_number, self._layout, self._counts, self._operations)
        self._next_is_named = True
        try:
            self._write_manifest()
        except OSError:
            segment.release()
            raise
        self.open = segment

    def _retire(self, *, torn: bool) -> None:
        """Closes the open segment if it holds any record; else its number is free again."""
        segment = self.open
        assert segment is not None
        self.open = None
        if segment.is_durable:
            self._closed.append(segment.entry(torn=torn))
            self._next_number += 1
            self._next_is_named = False

    def _suspend(self, error: OSError, now_s: float) -> None:
        self._outage.begin(
            f"{self._directory}: journal suspended: {error.strerror}. Training continues without a journal: games "
            f"played now would be missing after a restart. {self._room()}"
        )
        if self.open is not None:
            self.open.abandon()
            self._retire(torn=True)
        self.suspended, self.retry_at_s = True, now_s + self._retry_s

    def _write_manifest(self) -> None:
        opened = [SegmentEntry(self._next_number)] if self._next_is_named else []
        manifest = Manifest(self._layout, (*self._closed, *opened))
        replace_file(self._directory / MANIFEST, encode_manifest(manifest), self._operations)

    def _remove_struck_off(self) -> bool:
        while self._struck_off:
            try:
                self._operations.remove(self._directory / self._struck_off[0].name)
            except OSError:
                return False
            del self._struck_off[0]
        return True

    def _room(self) -> str:
        try:
            free = self._operations.free_bytes(self._directory)
        except OSError:
            return f"Tried again every {self._retry_s:g} s."
        return f"{free / 1e9:.2f} GB are free there; tried again every {self._retry_s:g} s."
