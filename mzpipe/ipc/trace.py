"""Trace: what every process did and when, during one window of time, on one clock (CLOCK_MONOTONIC).

    window      | until_ns |                     set by the measurer: events that end by then are kept; 0: none
    process i:  | count | lost |                 its own: events written, and events left out for lack of room
                | event 0 | event 1 | ...        begin_ns, end_ns, kind, items of a slice
                                                 at_ns, place, kind, sequence of a mark

V1  A process's row has one writer, which continues after its predecessor's events.
V2  An event below `count` is whole and does not change; only the end of a wait or of other work moves while it lasts.
V3  Slices of a process follow one another; a mark is written before the slice that it lies in.

A mark says that a numbered item passed here. Two processes that mark the same place and sequence handled the same
item: one marked it before it published the item, the other after it took the item.

Shape legend    P processes   E events of a process   W words of an event
"""

import time
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from . import atomics
from .layout import WORDS_PER_LINE, ArrayLayout, Field


class NoStage(IntEnum):
    """Kinds of slices outside any stage; a stage's slices have the stage's number, which is lower."""

    WAIT_IN = 32
    WAIT_OUT = 33
    OTHER = 34


class Mark(IntEnum):
    """Kinds of marks; each comment says which process writes it, and its place and sequence."""

    ROOT_ASKED = 64  # a search's client: lane, request
    SIMULATION_ASKED = 65  # a search's client: lane, request
    REQUEST_GATHERED = 66  # inference: lane, request
    ANSWER_TAKEN = 67  # a search's client: lane, request
    BATCH_SENT = 68  # replay: rank, record of the batch ring
    BATCH_TAKEN = 69  # learner: rank, record of the batch ring
    PRIORITIES_SENT = 70  # learner, after BATCH_TAKEN of that batch: rank, record of the priority ring
    PRIORITIES_TAKEN = 71  # replay: rank, record of the priority ring
    RECORD_SENT = 72  # a pod's uplink: actor, record of its ring
    RECORD_TAKEN = 73  # gateway: pod << MARK_POD_SHIFT | actor, record of its ring


# Of RECORD_TAKEN: above the number of the actor in its pod.
MARK_POD_SHIFT = 16
EVENT_WORDS = 4
_BEGIN, _END, _KIND, _ITEMS = range(EVENT_WORDS)
_UNTIL = 0
_COUNT, _LOST = 0, 1
_NS_PER_S = 1_000_000_000


def trace_layout(num_processes: int, num_events: int) -> ArrayLayout:
    """The layout with room for `num_events` events of each process."""
    return ArrayLayout(
        [
            Field("window", "int64", (WORDS_PER_LINE,)),
            Field("count", "int64", (num_processes, WORDS_PER_LINE)),
            Field("event", "int64", (num_processes, num_events, EVENT_WORDS)),
        ]
    )


class TraceWriter:
    """One process's row, for the process itself; before the window each call is one comparison."""

    def __init__(
        self, arrays: dict[str, np.ndarray], process_index: int, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._now_ns, self._window = now_ns, arrays["window"].data
        self._own = arrays["count"][process_index]
        self._words = arrays["event"][process_index].reshape(-1).data
        self._num_events = arrays["event"].shape[1]
        self._count = int(self._own[_COUNT])
        self._last_wait, self._last_end_ns = -1, -1  # the last event, if it is a wait or other work

    def slice(self, kind: int, begin_ns: int, end_ns: int, items: int = 0) -> None:
        """Keeps a slice from begin to end; a wait, or other work, extends an adjacent slice of its kind."""
        if end_ns > self._window[_UNTIL]:
            return
        if kind == self._last_wait and begin_ns == self._last_end_ns:
            self._words[EVENT_WORDS * (self._count - 1) + _END] = self._last_end_ns = end_ns
        elif self._write(begin_ns, end_ns, kind, items) and kind >= NoStage.WAIT_IN:
            self._last_wait, self._last_end_ns = kind, end_ns

    def mark(self, mark: Mark, place: int, sequence: int) -> None:
        """Keeps a mark at this moment: called before the item is handed on, or after it is taken."""
        until_ns = self._window[_UNTIL]
        if until_ns and (now_ns := self._now_ns()) <= until_ns:
            self._write(now_ns, place, mark, sequence)

    def _write(self, begin_ns: int, end_ns: int, kind: int, items: int) -> bool:
        if self._count == self._num_events:
            self._own[_LOST] += 1
            return False
        base, words = EVENT_WORDS * self._count, self._words
        words[base + _BEGIN], words[base + _END] = begin_ns, end_ns
        words[base + _KIND], words[base + _ITEMS] = kind, items
        self._count, self._last_wait = self._count + 1, -1
        # SYNC trace.event release: the event's words
        atomics.store_release(self._own, _COUNT, self._count)
        return True


class TraceRow(NamedTuple):
    """A copy of one process's events."""

    event_EW: np.ndarray
    lost: int


class Trace:
    """All rows, for the process that measures."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._window, self._count, self._event = arrays["window"], arrays["count"], arrays["event"]

    def start(self, seconds: float) -> None:
        """Keeps events from now on, for at most this many seconds."""
        self._window[_UNTIL] = time.monotonic_ns() + round(seconds * _NS_PER_S)

    def remaining_ns(self) -> int:
        """For how long events are kept from now on; 0 or less outside the window."""
        return int(self._window[_UNTIL]) - time.monotonic_ns()

    @property
    def has_begun(self) -> bool:
        """Whether there has been a window."""
        return bool(self._window[_UNTIL])

    def stop(self) -> None:
        """Ends the window, if it has not ended."""
        self._window[_UNTIL] = min(self._window[_UNTIL], time.monotonic_ns())

    def stop_when_full(self) -> None:
        """Ends the window once a process has no room left, so that all rows cover about the same time."""
        if (self._count[:, _COUNT] == self._event.shape[1]).any():
            self.stop()

    def read(self) -> list[TraceRow]:
        """The whole events of each process, in members' order; the processes may still be writing."""
        rows = []
        for own, event_EW in zip(self._count, self._event, strict=True):
            # SYNC trace.event acquire: the words of every event below the count
            count = atomics.load_acquire(own, _COUNT)
            rows.append(TraceRow(event_EW[:count].copy(), int(own[_LOST])))
        return rows
