"""Journal: the writer's end. The owner's thread copies and queues; the journal's thread does all file work.

    append -> | queue, at most queue_bytes | -> write, write, ... sync -> durable_serial
              owner's thread                     JournalThread, SegmentLog

V1  Queued bytes that are not yet written never exceed queue_bytes; a record that does not fit is dropped and counted.
V2  The owner waits for the disk only in the constructor and in close().
V3  An error in the journal's thread is raised in the owner's next call; errors of the disk become lines and counts.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputOutputError, MzpipeError
from ...ipc.schema import Trajectory
from ...runs.files import PrivateFileOperations
from .contents import JournalContents
from .counts import Counts, Outage
from .format import JournalLayout, encode_record, record_bytes
from .manifest import NONE
from .open_segment import WRITE_BYTES, Encoded
from .reader import has_journal
from .segment_log import SegmentLog
from .state import encode_state
from .thread import JournalThread

RETRY_S = 5.0
# A queue that was full counts as recovered after this long without a refused record.
QUIET_S = 30.0


class Journal:
    """The journal of one replay server; all calls come from one thread."""

    def __init__(
        self,
        directory: Path,
        layout: JournalLayout,
        *,
        segment_bytes: int,
        sync_interval_s: float = 1.0,
        sync_records: int = 4096,
        queue_bytes: int = 64 << 20,
        former: JournalContents | None = None,
        retry_s: float = RETRY_S,
        quiet_s: float = QUIET_S,
        operations: PrivateFileOperations | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins a journal, or continues `former` after its repair(); raises InputOutputError.

        Without `former`, a directory that holds a journal is refused, so that no run starts from scratch by accident.
        The run's lock keeps a second writer away.
        """
        _prepare(directory, layout, former)
        self._directory, self._layout, self._clock = directory, layout, clock
        self._queue_bytes, self._quiet_s = queue_bytes, quiet_s
        self._counts = Counts()
        self._overflow, self._refused_at_s = Outage(self._counts), 0.0
        self._newest_serial = former.last_serial if former is not None else NONE
        self._log = SegmentLog(
            directory,
            layout,
            self._counts,
            closed=former.segments if former is not None else (),
            next_number=former.next_segment_number if former is not None else 1,
            state_bytes=former.state_bytes if former is not None else 0,
            segment_bytes=segment_bytes,
            retry_s=retry_s,
            operations=operations or PrivateFileOperations(),
        )
        self._thread = JournalThread(
            self._log,
            sync_interval_s=sync_interval_s,
            sync_records=sync_records,
            write_at_bytes=min(WRITE_BYTES, queue_bytes // 4),
            retry_s=retry_s,
            clock=clock,
        )
        self._closed = False

    def append(self, serial: int, record: Trajectory, *, actor: int, epoch: int) -> bool:
        """Queues a private copy of a trajectory record; returns False if it was dropped. Never waits for the disk.

        `serial` must be larger than any before. Raises MzpipeError if the journal's thread has failed.
        """
        self._raise_fault()
        assert serial > self._newest_serial and not self._closed
        self._newest_serial = serial
        length = int(record.length[0])
        if not self._has_room(record_bytes(self._layout, length)):
            self._counts.refused_transitions += length
            return False
        buffer = encode_record(self._layout, serial, record, actor=actor, epoch=epoch)
        self._thread.put(Encoded(buffer, serial, length, self._clock()))
        return True

    def forget(self, first_kept_serial: int) -> None:
        """Has the segments whose serials are all smaller deleted, within about a second."""
        self._raise_fault()
        self._thread.forget(first_kept_serial)

    def save_state(self, fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Queues a private copy that replaces the state file; if several wait, only the newest is written.

        Records appended before are made durable first. At most two states are held in memory, outside queue_bytes.
        """
        self._raise_fault()
        self._thread.put_state(encode_state(fields, arrays))

    def lines(self) -> list[str]:
        """New lines for the user: a full disk or queue, and its recovery."""
        self._raise_fault()
        if self._overflow.ongoing and self._clock() - self._refused_at_s >= self._quiet_s:
            self._overflow.end(f"{self._directory}: the disk keeps up again; {{missing}} transitions are missing")
        lines = self._counts.lines
        return [lines.popleft() for _ in range(len(lines))]

    def close(self, timeout_s: float) -> bool:
        """Writes and syncs what is queued and ends the thread; a line says if that took too long. Twice is fine.

        Returns whether everything is written; if not, the thread continues.
        """
        first, self._closed = not self._closed, True
        done = self._thread.close(timeout_s)
        if not done and first:
            self._counts.lines.append(
                f"{self._directory}: the disk has not taken the rest of the journal within {timeout_s:g} s: "
                f"trajectories after {self.durable_serial} may be missing from it"
            )
        self._raise_fault()
        return done

    @property
    def dropped_transitions(self) -> int:
        """Appended transitions that the journal may not hold."""
        return self._counts.dropped_transitions

    @property
    def written_transitions(self) -> int:
        """Transitions on disk for certain; after close(), these and the dropped ones are all that were appended."""
        return self._counts.written_transitions

    @property
    def durable_serial(self) -> int:
        """The newest serial of this session that is on disk for certain, or -1."""
        return self._counts.durable_serial

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all segments and the state; a gauge."""
        return self._log.bytes_on_disk

    @property
    def pending_bytes(self) -> int:
        """Bytes queued or being written; a gauge."""
        return self._thread.pending_bytes

    @property
    def suspended(self) -> bool:
        """Whether the disk refuses writes and records are dropped."""
        return self._log.suspended

    def _has_room(self, nbytes: int) -> bool:
        if self._log.suspended:
            return False
        if self._thread.pending_bytes + nbytes <= self._queue_bytes:
            return True
        self._refused_at_s = self._clock()
        self._overflow.begin(
            f"{self._directory}: journal queue full ({self._queue_bytes / 1e6:.0f} MB): the disk is too slow or hangs. "
            "Training continues; games that do not fit would be missing after a restart"
        )
        return False

    def _raise_fault(self) -> None:
        fault = self._thread.fault
        if fault is not None:
            raise MzpipeError(f"{self._directory}: the journal's thread failed: {fault!r}") from fault


def _prepare(directory: Path, layout: JournalLayout, former: JournalContents | None) -> None:
    if not layout.is_sane():
        raise InputOutputError(f"{directory}: {layout} is not a layout of records")
    if former is not None:
        assert former.is_repaired and former.layout == layout and former.directory == directory
        return
    if has_journal(directory):
        raise InputOutputError(
            f"{directory}: already holds a journal: read and continue it, or move the directory away to start with an "
            "empty table"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputOutputError(f"{directory}: cannot be created: {error.strerror}") from error
