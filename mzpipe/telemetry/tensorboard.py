"""TensorBoard curves: one event file per session of a run; the x axis counts env steps (offline: learner steps).

The file is written here, with TensorBoard's own record framing, and not through `tensorboard.summary.Writer`, which
loads TensorFlow if it is installed, keeps a thread, and stores tensors that `EventAccumulator.Scalars` does not list.
"""

import contextlib
import io
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from ..reading import read_file
from ..runs.files import FileOperations, file_errors, write_all
from ..runs.scores import Evaluation
from .metrics import EVALUATION_METRICS, Values, read
from .snapshot import Snapshot

_FILE_PREFIX = "events.out.tfevents."
# A record is its length and that length's checksum, the event, and the event's checksum.
_HEADER, _FOOTER_BYTES = struct.Struct("<QI"), 4
_MAX_BYTES = 1 << 30


class TensorBoardWriter:
    """Appends snapshots to a new event file in `directory`; files of earlier sessions stay.

    Every method raises InputOutputError if it cannot write. The next one then begins another file, because TensorBoard
    reads no further than a record that is cut short.
    """

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)
        self._operations = FileOperations()
        self._descriptor: int | None = None
        self._evaluation: Evaluation | None = None
        self._started = False

    def write(self, snapshot: Snapshot) -> None:
        """Writes every measured value at the snapshot's axis, and a new evaluation at its own axis."""
        events = [] if self._started else [_start(snapshot.axis)]
        events.append(_summary(snapshot.axis, snapshot.metrics))
        evaluation = snapshot.evaluation
        if evaluation is not None and evaluation != self._evaluation:
            events.append(_summary(evaluation.axis, read(EVALUATION_METRICS, evaluation)))
        self._append(*events)
        self._started, self._evaluation = True, evaluation

    def write_scalars(self, axis: int, scalars: Values) -> None:
        """Writes values from outside a session, at `axis` on the x axis; earlier points stay."""
        self._append(_summary(axis, scalars))

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._descriptor is not None:
            with file_errors("write TensorBoard events in", self._directory):
                self._let_go()

    def _append(self, *events: event_pb2.Event) -> None:
        """Writes the events, all or none as a reader sees them."""
        with file_errors("write TensorBoard events in", self._directory):
            if self._descriptor is None:
                self._begin()
            assert self._descriptor is not None
            try:
                write_all(self._operations, self._descriptor, _records(*events))
            except OSError:
                with contextlib.suppress(OSError):
                    self._let_go()
                raise

    def _begin(self) -> None:
        """Begins a file, which is not left behind without its first record."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / _new_file_name(self._directory)
        descriptor = self._operations.create(path)
        try:
            write_all(self._operations, descriptor, _records(event_pb2.Event(file_version="brain.Event:2")))
        except OSError:
            with contextlib.suppress(OSError):
                self._operations.close(descriptor)
            with contextlib.suppress(OSError):
                self._operations.remove(path)
            raise
        self._descriptor = descriptor

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        assert descriptor is not None
        self._operations.close(descriptor)


def training_times(directory: Path, axis: int) -> list[tuple[float, float]]:
    """The first and last wall time, in seconds, of what each session wrote up to `axis`, oldest session first."""
    files = sorted(directory.glob(f"{_FILE_PREFIX}*"))
    sessions = [[moment for step, moment in _moments(path) if step <= axis] for path in files]
    return [(min(times), max(times)) for times in sessions if times]


def _moments(path: Path) -> Iterator[tuple[int, float]]:
    """The step and wall time of every event of a file; the file ends at a record that is not whole."""
    data, place = read_file(path, _MAX_BYTES), 0
    while place + _HEADER.size <= len(data):
        start = place + _HEADER.size
        place = start + _HEADER.unpack_from(data, start - _HEADER.size)[0] + _FOOTER_BYTES
        try:
            event = event_pb2.Event.FromString(data[start : place - _FOOTER_BYTES])
        except DecodeError:
            return
        if event.HasField("summary"):
            yield event.step, event.wall_time


def _records(*events: event_pb2.Event) -> bytes:
    """The events as bytes of an event file."""
    data = io.BytesIO()
    for event in events:
        event.wall_time = time.time()
        RecordWriter(data).write(event.SerializeToString())
    return data.getvalue()


def _start(env_steps: int) -> event_pb2.Event:
    """Tells TensorBoard to drop later points: a resumed run repeats what it did after its last checkpoint."""
    return event_pb2.Event(step=env_steps, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))


def _summary(step: int, scalars: Values) -> event_pb2.Event:
    """One event for all scalars of a step, so a crash loses a whole point, never half of one."""
    event = event_pb2.Event(step=step)
    for tag, value in scalars.items():
        if value is not None:
            event.summary.value.add(tag=tag, simple_value=float(value))
    return event


def _new_file_name(directory: Path) -> str:
    """A name that sorts after every event file there, even if the clock went back: TensorBoard reads in that order."""
    stamps = [int(time.time())]
    for path in directory.glob(f"{_FILE_PREFIX}*"):
        stamp = path.name.removeprefix(_FILE_PREFIX).split(".", 1)[0]
        stamps += [int(stamp) + 1] if stamp.isdecimal() else []
    return f"{_FILE_PREFIX}{max(stamps):010d}.{socket.gethostname()}.{os.getpid()}"
