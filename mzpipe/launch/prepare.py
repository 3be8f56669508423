"""Runs the rehearsal program: a signal ends it at once, and it never outlives this process."""

import os
import select
import signal
import time
from pathlib import Path

from ..errors import DeviceError, ExitCode, InputOutputError, MzpipeError, PlanError
from ..runtime.environment import child_environment
from ..runtime.process import DEATH_PIPE, Child, make_death_pipe, spawn
from ..telemetry import View
from .rehearsal import Prepared, read_prepared
from .roster import describe_exit
from .run_directory import LiveRun, RunDirectory
from .signals import SignalPipe

_TIMEOUT_S = 600.0
_KINDS: dict[int, type[MzpipeError]] = {
    ExitCode.USAGE: PlanError,
    ExitCode.INPUT_OUTPUT: InputOutputError,
    ExitCode.DEVICE: DeviceError,
}


def prepare(run: RunDirectory, live: LiveRun, view: View, signals: SignalPipe) -> Prepared | None:
    """What the rehearsal found out; None when a signal came first. Raises the error that it ended with."""
    view.line("compiling kernels and rehearsing the pipeline ...")
    start_s = time.monotonic()
    runtime = Path(live.runtime_directory)
    death_pipe = make_death_pipe(runtime)
    try:
        code, output = _run_program(run.profile, runtime, signals)
    finally:
        os.close(death_pipe)
        (runtime / DEATH_PIPE).unlink()
    if code is None:
        return None
    if code != ExitCode.FINISHED:
        raise _KINDS.get(code, MzpipeError)(output or f"the rehearsal {describe_exit(code)}")
    view.line(f"compiling kernels: {time.monotonic() - start_s:.1f} s")
    return read_prepared(runtime)


def _run_program(profile: Path, runtime: Path, signals: SignalPipe) -> tuple[int | None, str]:
    """(exit code, output); the code is None when a signal ended it."""
    path = runtime / "rehearsal.log"
    arguments = ["mzpipe.launch.rehearsal", str(profile), str(runtime), str(os.getpid())]
    with open(path, "wb") as log:
        child = spawn(arguments, environment=child_environment(1), log=log)
    try:
        ended = _wait(child, signals)
        code = child.reap() if ended else None
    finally:
        child.signal(signal.SIGKILL)
        child.reap()
        child.close()
    return code, path.read_text(errors="replace").strip()


def _wait(child: Child, signals: SignalPipe) -> bool:
    """Waits for the child's end; False when a signal comes first. Raises MzpipeError after _TIMEOUT_S."""
    poller = select.poll()
    for descriptor in (child.pidfd, signals.descriptor):
        poller.register(descriptor, select.POLLIN)
    deadline_s = time.monotonic() + _TIMEOUT_S
    while signals.first() is None:
        left_ms = round((deadline_s - time.monotonic()) * 1000)
        if left_ms <= 0:
            raise MzpipeError(f"rehearsal (pid {child.pid}): not ended within {_TIMEOUT_S:.0f} s")
        if any(descriptor == child.pidfd for descriptor, _ in poller.poll(left_ms)):
            return True
    return False
