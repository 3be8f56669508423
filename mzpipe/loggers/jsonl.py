"""RUN/metrics.jsonl: one line of JSON a point, one history of the run.

{"env_steps": 1200, "learner_steps": 300, "time": 1796027040.5, "loss/total": 2.31, ...}

A number that is not finite is null. A resumed session first drops the lines of what came after its checkpoint: training
that is lost, and will be repeated.
"""

import contextlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..runs.files import FileOperations, file_errors, replacing, write_all
from .protocol import LoggedRun

FILE = "metrics.jsonl"
_PLACE = re.compile(rb'\{"env_steps": (\d{1,19}), "learner_steps": (\d{1,19}), ')
# A longer line is not one of these, and is kept as it is.
_MAX_LINE_BYTES = 1 << 20


class JsonlLogger:
    """Appends points to the file; `log` raises InputOutputError, and can be called again."""

    def __init__(self) -> None:
        self._operations, self._descriptor = FileOperations(), -1
        self._run: LoggedRun | None = None
        self._path = Path()

    def open(self, run: LoggedRun) -> None:
        """Takes the run in; the file is opened with the first point."""
        self._run, self._path = run, run.directory / FILE

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Appends a line, whole or not at all as the next point finds it."""
        known = {tag: value if math.isfinite(value) else None for tag, value in values.items()}
        point = {"env_steps": env_steps, "learner_steps": learner_steps, "time": round(time, 3), **known}
        with file_errors("write", self._path):
            if self._descriptor < 0:
                self._begin()
            try:
                write_all(self._operations, self._descriptor, f"{json.dumps(point)}\n".encode())
            except OSError:
                with contextlib.suppress(OSError):
                    self._let_go()
                raise

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            with file_errors("write", self._path):
                self._let_go()

    def _begin(self) -> None:
        """Opens the file, without the lines that the session repeats and without one that was cut short."""
        if self._run is not None and self._path.exists():
            _drop_later(self._path, self._run)
        self._run = None  # the lines of this session stay
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, self._operations.mode)
        try:
            os.ftruncate(descriptor, _whole_bytes(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        self._operations.close(descriptor)


def _drop_later(path: Path, run: LoggedRun) -> None:
    with replacing(path) as draft, open(path, "rb") as former, open(draft, "wb") as kept:
        while line := former.readline(_MAX_LINE_BYTES):
            place = _PLACE.match(line)
            if place is None or (int(place[1]) <= run.env_steps and int(place[2]) <= run.learner_steps):
                kept.write(line)


def _whole_bytes(descriptor: int) -> int:
    """The length of the lines that have their end."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _MAX_LINE_BYTES, max(0, size - _MAX_LINE_BYTES))
    return size - len(tail) + tail.rfind(b"\n") + 1
