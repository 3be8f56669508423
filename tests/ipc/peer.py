"""The other process of the two-process tests: `python -m tests.ipc.peer WHAT DIRECTORY ARGUMENTS...`."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mzpipe.ipc import atomics
from mzpipe.ipc.columns import RecordLayout
from mzpipe.ipc.doorbell import Doorbell, doorbell_layout
from mzpipe.ipc.errorlog import ErrorLog, errorlog_layout
from mzpipe.ipc.layout import ArrayLayout, Field
from mzpipe.ipc.ring import Ring, RingWriter
from mzpipe.ipc.segment import HEADER_BYTES, Segment
from mzpipe.ipc.trace import TraceWriter, trace_layout
from mzpipe.ipc.weights import WeightsPublisher, weights_layout


class Numbered(NamedTuple):
    """A record whose every word follows from its sequence."""

    sequence: np.ndarray
    data: np.ndarray


RECORD = RecordLayout(Numbered, [Field("sequence", "int64", (1,)), Field("data", "int64", (40,))])
NUM_SLOTS = 8
WEIGHTS_BYTES = 4 * 20_000
TRACE_EVENTS = 200_000
WAIT = {"spin_ns": 2_000, "yield_ns": 50_000, "timeout_ns": 5_000_000_000}


def open_ring(directory: Path, create: bool = False) -> Ring[Numbered]:
    opener = Segment.create if create else Segment.attach
    return Ring(opener(directory / "ring", Ring.payload_bytes(RECORD, NUM_SLOTS)), RECORD, NUM_SLOTS)


def open_arrays(directory: Path, name: str, layout: ArrayLayout, create: bool = False) -> dict[str, np.ndarray]:
    opener = Segment.create if create else Segment.attach
    return layout.views(opener(directory / name, layout.nbytes).buffer, HEADER_BYTES)


def pattern(sequence: int) -> np.ndarray:
    """Every word of a record tells its sequence and its place."""
    return sequence * 1_000_003 + np.arange(40)


def write_records(directory: Path, count: str, epoch: str = "0", planted: str = "") -> None:
    """Writes `count` consecutive records, the first where the ring's first word says.

    The planted bug is that a record's commit word comes before its payload.
    """
    ring = open_ring(directory)
    writer = RingWriter(ring, epoch=int(epoch))
    sequence = writer._sequence
    for number in range(sequence, sequence + int(count)):
        slot = writer.claim()
        while slot is None:
            atomics.yield_core()
            slot = writer.claim()
        if planted:
            atomics.store_release(ring.headers[number % NUM_SLOTS], 0, number + 1)
            atomics.yield_core()
        slot.sequence[0] = number
        slot.data[:] = pattern(number)
        writer.commit()


def answer_doorbell(directory: Path, count: str) -> None:
    """Rings back `count` times; exits with 1 when a ring is lost."""
    words = open_arrays(directory, "bells", doorbell_layout(2))["words"]
    mine, other = Doorbell(words, 1), Doorbell(words, 0)
    for number in range(int(count)):
        if mine.sequence() == number and not mine.wait(number, **WAIT):
            sys.exit(1)
        other.ring()


def publish_weights(directory: Path, planted: str = "") -> None:
    """Publishes until it is killed; every element of a version is its number.

    The planted bug is that a buffer keeps its stamp while it is overwritten.
    """
    if planted:
        atomics.store_ordered = lambda words, index, value: None
    publisher = WeightsPublisher(open_arrays(directory, "weights", weights_layout(WEIGHTS_BYTES)))
    while True:
        number = float(publisher.version + 1)
        publisher.publish(np.full(WEIGHTS_BYTES // 4, number, np.float32), learner_steps=int(number), env_steps=0)


def write_trace(directory: Path) -> None:
    """Fills its row of the trace; the words of an event tell its place."""
    writer = TraceWriter(open_arrays(directory, "trace", trace_layout(2, TRACE_EVENTS)), 1)
    for number in range(1, TRACE_EVENTS + 1):
        writer.slice(number % 16, number, number + 1, -number)


def log_error(directory: Path) -> None:
    """Records an error and dies of SIGKILL."""
    import os
    import signal

    log = ErrorLog(open_arrays(directory, "errors", errorlog_layout(2))["words"], 1)
    log.record_text("the last words")
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
