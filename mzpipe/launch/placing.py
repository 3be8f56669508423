"""A run's pods on Ray, as `train` sees them: a child that places them (launch/placer.py), and what it says."""

import contextlib
import dataclasses
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cluster.node import POD
from ..errors import MzpipeError, UsageError
from ..runs.files import file_errors
from ..runtime.environment import child_environment
from ..runtime.process import describe_exit, spawn
from .bundles import Task
from .places import Go

LOG = "ray.log"
# Ray gives up on an address that nobody answers at after half a minute.
_PLACED_S, _STOP_S, _LOOK_S, _LAST_WAIT_S = 180.0, 25.0, 0.2, 0.5
_MAX_READ = 1 << 16


class Placing:
    """The placer's process; as a context it stops every pod at the end."""

    def __init__(
        self, task: Task, logs: Path, note: Callable[[str], None], is_hurried: Callable[[], bool] = lambda: False
    ) -> None:
        """Starts it; what it prints goes to `logs`. Raises InputOutputError.

        Once `is_hurried` says so, no stop waits: Ray then ends the pods after this run.
        """
        self._note, self._log, self._is_hurried = note, logs / LOG, is_hurried
        (theirs_in, self._in), (self._out, theirs_out) = os.pipe(), os.pipe()
        with file_errors("write", self._log), open(self._log, "ab") as log:
            self._child = spawn(
                ["mzpipe.launch.placer", str(os.getpid())],
                environment=child_environment(1),
                log=log,
                stdin=theirs_in,
                stdout=theirs_out,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest = b""
        self._is_placed = self._has_ended = False
        self._refusal = ""
        self._tell(task)

    def __enter__(self) -> "Placing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def await_placed(self, is_stopped: Callable[[], bool]) -> None:
        """Waits until every pod has its place; raises UsageError if that cannot be. Returns early if stopped."""
        deadline_s = time.monotonic() + _PLACED_S
        while not (self._is_placed or is_stopped()):
            self._read(_LOOK_S)
            if self._refusal:
                raise UsageError(self._refusal)
            if self._has_ended:
                raise MzpipeError(f"--ray: Ray's client {self._end()} before the pods were placed: see {self._log}")
            if time.monotonic() > deadline_s:
                raise UsageError(f"--ray: the pods were not placed in {_PLACED_S:.0f} s: see {self._log}")

    def start(self, run: Path, runtime: Path, head_public: str, logs: Path, program: Sequence[str] = POD) -> None:
        """Has the pods started, once each has its place."""
        self._log = logs / LOG
        self._tell(Go(str(run), str(runtime), head_public, str(self._log), program))

    def look(self) -> None:
        """Shows what the placer has said; without it the pods have ended, and the run goes on."""
        if not self._has_ended:
            self._read(0.0)
            if self._has_ended:
                self._note(f"--ray: Ray's client {self._end()}: the run goes on without its pods; see {self._log}")

    def close(self) -> None:
        """Stops the pods, and the placer."""
        os.close(self._in)
        deadline_s = time.monotonic() + _STOP_S
        while not (self._has_ended or self._is_hurried()) and time.monotonic() < deadline_s:
            self._read(_LOOK_S)
        if not select.select([self._child.pidfd], [], [], _LAST_WAIT_S)[0]:
            self._note("--ray: the pods are not stopped yet: Ray ends them after this run")
            self._child.signal(signal.SIGKILL)
        self._child.reap()
        self._child.close()
        os.close(self._out)

    def _tell(self, what: Task | Go) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, which a look finds out
            os.write(self._in, (json.dumps(dataclasses.asdict(what)) + "\n").encode())

    def _end(self) -> str:
        select.select([self._child.pidfd], [], [], _LAST_WAIT_S)
        return describe_exit(self._child.process.poll())

    def _read(self, wait_s: float) -> None:
        """Takes in what there is to read, waiting for it at most so long."""
        if not select.select([self._out], [], [], wait_s)[0]:
            return
        data = os.read(self._out, _MAX_READ)
        self._has_ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, fields: dict[str, Any]) -> None:
        self._is_placed |= "placed" in fields
        self._refusal = self._refusal or fields.get("refused", "")
        if "say" in fields:
            self._note(str(fields["say"]))
