"""TensorBoard curves: one event file per session of a run; the x axis counts env steps (offline: learner steps).

The file is written here, with TensorBoard's own record framing, and not through `tensorboard.summary.Writer`, which
loads TensorFlow if it is installed, keeps a thread, and stores tensors that `EventAccumulator.Scalars` does not list.
"""

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from ..runs.files import file_errors
from ..runs.scores import Evaluation
from .metrics import EVALUATION_METRICS, Values, read
from .snapshot import Snapshot

_FILE_PREFIX = "events.out.tfevents."


class TensorBoardWriter:
    """Appends snapshots to a new event file in `directory`; files of earlier sessions stay."""

    def __init__(self, directory: Path | str) -> None:
        """Creates the directory and the file; raises InputOutputError if it cannot."""
        self._path = Path(directory)
        self._evaluation: Evaluation | None = None
        self._started = False
        with file_errors("write TensorBoard events in", self._path):
            self._path.mkdir(parents=True, exist_ok=True)
            self._path /= _new_file_name(self._path)
            self._records = RecordWriter(self._path.open("xb"))
        self._append(event_pb2.Event(file_version="brain.Event:2"))

    def write(self, snapshot: Snapshot) -> None:
        """Writes every measured value at the snapshot's axis, and a new evaluation at its own axis."""
        if not self._started:
            self._start(snapshot.axis)
        self._append(_summary(snapshot.axis, snapshot.metrics))
        if snapshot.evaluation is not None and snapshot.evaluation != self._evaluation:
            self._evaluation = snapshot.evaluation
            self._append(_summary(self._evaluation.axis, read(EVALUATION_METRICS, self._evaluation)))

    def write_scalars(self, axis: int, scalars: Values) -> None:
        """Writes values from outside a session, at `axis` on the x axis; earlier points stay."""
        self._append(_summary(axis, scalars))

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if not self._records.closed:
            with file_errors("write", self._path):
                self._records.close()

    def _start(self, env_steps: int) -> None:
        """Tells TensorBoard to drop later points: a resumed run repeats what it did after its last checkpoint."""
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._append(event_pb2.Event(step=env_steps, session_log=session))
        self._started = True

    def _append(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        with file_errors("write", self._path):
            self._records.write(event.SerializeToString())
            self._records.flush()


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
