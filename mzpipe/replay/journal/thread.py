"""JournalThread: writes the owner's records and states to disk, lap by lap.

V1  The lock is never held across a file operation, so the owner never waits for the disk.
V2  A record's write and sync begin at most sync_interval_s / 2 after it was put here, or when sync_records wait. This
    leaves the other half of the interval to the disk.
V3  An exception that ends the thread before it is closed is kept in `fault`.

Apart from the idle strategy this is the only place that waits: on a Condition, never without a time-out. The owner's
doorbell cannot serve here, because the owner itself sleeps on it. Time is the monotonic clock.
"""

import threading
from collections import deque
from collections.abc import Callable

from .open_segment import WRITE_BYTES, WRITE_RECORDS, Encoded
from .segment_log import SegmentLog

_LONGEST_WAIT_S = 1.0


class JournalThread:
    """Owns the queue and, while it runs, the segment log."""

    def __init__(
        self,
        log: SegmentLog,
        *,
        sync_interval_s: float,
        sync_records: int,
        write_at_bytes: int,
        retry_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.fault: BaseException | None = None
        self.pending_bytes = 0  # queued or being written
        self._log, self._clock = log, clock
        self._sync_delay_s, self._sync_records = sync_interval_s / 2, sync_records
        self._write_at_bytes, self._retry_s = write_at_bytes, retry_s
        self._queue: deque[Encoded] = deque()
        self._state: bytearray | None = None
        self._first_kept_serial = 0
        self._forget_at_s = 0.0
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, record: Encoded) -> None:
        """Queues a record."""
        with self._wake:
            self._queue.append(record)
            self.pending_bytes += len(record.buffer)
            if len(self._queue) == 1 or self._is_much_queued():
                self._wake.notify()

    def put_state(self, state: bytearray) -> None:
        """Queues a state, and drops one that still waits."""
        with self._wake:
            self._state = state
            self._wake.notify()

    def forget(self, first_kept_serial: int) -> None:
        """Lets the thread delete older trajectories when it has time."""
        self._first_kept_serial = first_kept_serial

    def close(self, timeout_s: float) -> bool:
        """Lets the thread finish everything; returns False if it has not within the time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._lap():
                pass
        except BaseException as error:  # a thread's boundary: kept for the owner
            self.fault = error

    def _lap(self) -> bool:
        """Waits until something is due and does it; returns False after the last lap."""
        self._log.resume(self._clock())
        with self._wake:
            if (wait_s := self._due_in_s()) > 0:
                self._wake.wait(min(wait_s, _LONGEST_WAIT_S))
            closing, state, due = self._closing, self._state, self._due_in_s() <= 0
            self._state = None
        if due:
            self._write_queue()
        if state is not None or self._sync_is_due():
            self._log.sync(self._clock())
        if state is not None:
            self._log.save_state(state)
        self._forget()
        if closing:
            self._log.close(self._clock())
        return not closing

    def _write_queue(self) -> None:
        while batch := self._take():
            nbytes = sum(len(record.buffer) for record in batch)
            self._log.write(batch, self._clock())
            with self._wake:
                self.pending_bytes -= nbytes
            if self._sync_is_due():
                self._log.sync(self._clock())

    def _take(self) -> deque[Encoded]:
        """Takes the oldest records, about as many as one write call takes."""
        batch: deque[Encoded] = deque()
        with self._wake:
            nbytes = 0
            while self._queue and nbytes < WRITE_BYTES and len(batch) < WRITE_RECORDS:
                nbytes += len(self._queue[0].buffer)
                batch.append(self._queue.popleft())
        return batch

    def _forget(self) -> None:
        if self._clock() >= self._forget_at_s and not self._log.forget(self._first_kept_serial):
            self._forget_at_s = self._clock() + self._retry_s

    def _is_much_queued(self) -> bool:
        return self.pending_bytes >= self._write_at_bytes or len(self._queue) >= self._sync_records

    def _sync_is_due(self) -> bool:
        segment = self._log.open
        if segment is None or segment.unsynced_records == 0:
            return False
        overdue = self._clock() >= segment.oldest_unsynced_s + self._sync_delay_s
        return overdue or segment.unsynced_records >= self._sync_records

    def _due_in_s(self) -> float:
        """Seconds until something is due; 0 or less means now."""
        log, now_s = self._log, self._clock()
        if self._closing or self._state is not None or self._is_much_queued():
            return 0.0
        due_s = [now_s + _LONGEST_WAIT_S]
        if self._queue:
            due_s.append(self._queue[0].appended_s + self._sync_delay_s)
        if log.open is not None and log.open.unsynced_records:
            due_s.append(log.open.oldest_unsynced_s + self._sync_delay_s)
        if log.suspended:
            due_s.append(log.retry_at_s)
        return min(due_s) - now_s
