"""Trace: what every process did when, for as long as somebody wants to know, on one clock (CLOCK_MONOTONIC).

    window      | until_ns |                     whoever measures: events that end by then are kept; 0: none
    process i:  | count | lost |                 its own: events written, and left out because there was no room
                | event 0 | event 1 | ...        begin_ns, end_ns, kind, items of a slice
                                                 at_ns, place, kind, sequence of a mark

V1  A process's row has one writer, which continues after its predecessor's events.
V2  An event below `count` is whole, and stays as it is; only the end of a wait, or of other work, that goes on moves.
V3  Slices of a process follow one another; a mark is written before the slice that it lies in.

A mark says that something with a number passed by here. Two processes that mark the same place and sequence have
dealt with the same thing: one handed it over before it could be seen, the other took it after.

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
    """Slices that are no stage's; those of a stage have its number, which is lower."""

    WAIT_IN = 32
    WAIT_OUT = 33
    OTHER = 34


class Mark(IntEnum):
    """What passed by; the comments say what place and sequence are."""

    ROOT_ASKED = 64  # a search's client: lane, request
    SIMULATION_ASKED = 65  # a search's client: lane, request
    REQUEST_GATHERED = 66  # inference: lane, request
    ANSWER_TAKEN = 67  # a search's client: lane, request
    BATCH_SENT = 68  # replay: rank, record of the batch ring
    BATCH_TAKEN = 69  # learner: rank, record of the batch ring
    PRIORITIES_SENT = 70  # learner, after BATCH_TAKEN of that batch: rank, record of the priority ring
    PRIORITIES_TAKEN = 71  # replay: rank, record of the priority ring


EVENT_WORDS = 4
_BEGIN, _END, _KIND, _ITEMS = range(EVENT_WORDS)
_UNTIL = 0
_COUNT, _LOST = 0, 1
_NS_PER_S = 1_000_000_000


def trace_layout(num_processes: int, num_events: int) -> ArrayLayout:
    """Room for so many events of each process."""
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
        self._last_wait, self._last_end_ns = -1, -1  # while it is the last event

    def slice(self, kind: int, begin_ns: int, end_ns: int, items: int = 0) -> None:
        """Keeps what took from begin to end; where nothing comes between, waits, and other work, go on."""
        if end_ns > self._window[_UNTIL]:
            return
        if kind == self._last_wait and begin_ns == self._last_end_ns:
            self._words[EVENT_WORDS * (self._count - 1) + _END] = self._last_end_ns = end_ns
        elif self._write(begin_ns, end_ns, kind, items) and kind >= NoStage.WAIT_IN:
            self._last_wait, self._last_end_ns = kind, end_ns

    def mark(self, mark: Mark, place: int, sequence: int) -> None:
        """Keeps that this passes by now: called before it is handed on, or after it is taken."""
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
    """A copy of what one process has kept."""

    event_EW: np.ndarray
    lost: int


class Trace:
    """All rows, for whoever measures."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._window, self._count, self._event = arrays["window"], arrays["count"], arrays["event"]

    def start(self, seconds: float) -> None:
        """Events are kept from now on, for so long at most."""
        self._window[_UNTIL] = time.monotonic_ns() + round(seconds * _NS_PER_S)

    def stop_when_full(self) -> None:
        """Ends the window once a process has no room left, so that all rows tell of about the same time."""
        if (self._count[:, _COUNT] == self._event.shape[1]).any():
            self._window[_UNTIL] = min(self._window[_UNTIL], time.monotonic_ns())

    def read(self) -> list[TraceRow]:
        """Whole events only, of each process in members' order; it may go on writing."""
        rows = []
        for own, event_EW in zip(self._count, self._event, strict=True):
            # SYNC trace.event acquire: the words of every event below the count
            count = atomics.load_acquire(own, _COUNT)
            rows.append(TraceRow(event_EW[:count].copy(), int(own[_LOST])))
        return rows
