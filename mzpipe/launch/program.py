"""Runs one of mzpipe's programs to its end: a signal ends it at once, and it never outlives this process."""

import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

from ..errors import DeviceError, ExitCode, InputOutputError, MzpipeError, PlanError
from ..runtime.attended import AttendedClock
from ..runtime.environment import child_environment
from ..runtime.process import DEATH_PIPE, Child, describe_exit, make_death_pipe, spawn
from .signals import SignalPipe

_TIMEOUT_S, _LOOK_S = 600.0, 1.0
_KINDS: dict[int, type[MzpipeError]] = {
    ExitCode.USAGE: PlanError,
    ExitCode.INPUT_OUTPUT: InputOutputError,
    ExitCode.DEVICE: DeviceError,
}


def run_program(
    module: str, words: Sequence[str], runtime: Path, signals: SignalPipe, *, what: str, num_threads: int = 1
) -> bool:
    """Runs `python -m module words... PID` to its end; returns False if a signal came first.

    `runtime` is where the program finds its death pipe. If it fails, raises the error that its exit code stands for,
    with its stderr as the text. Raises MzpipeError after ten minutes.
    """
    log, death_pipe = runtime / f"{what}.log", make_death_pipe(runtime)
    try:
        with open(log, "wb") as output:
            child = spawn([module, *words, str(os.getpid())], environment=child_environment(num_threads), log=output)
        code = _end_of(child, signals, what)
    finally:
        os.close(death_pipe)
        (runtime / DEATH_PIPE).unlink()
    if code:
        said = log.read_text(errors="replace").strip()
        raise _KINDS.get(code, MzpipeError)(said or f"the {what} {describe_exit(code)}")
    return code is not None


def _end_of(child: Child, signals: SignalPipe, what: str) -> int | None:
    """The child's exit code; None if a signal ended it."""
    try:
        return child.reap() if _wait(child, signals, what) else None
    finally:
        child.signal(signal.SIGKILL)
        child.reap()
        child.close()


def _wait(child: Child, signals: SignalPipe, what: str) -> bool:
    """Waits for the child's end; returns False if a signal comes first. Raises MzpipeError after _TIMEOUT_S."""
    poller = select.poll()
    for descriptor in (child.pidfd, signals.descriptor):
        poller.register(descriptor, select.POLLIN)
    clock = AttendedClock(2 * _LOOK_S)
    deadline_s = clock.now_s() + _TIMEOUT_S
    while signals.first() is None:
        if any(descriptor == child.pidfd for descriptor, _ in poller.poll(round(_LOOK_S * 1000))):
            return True
        if clock.now_s() >= deadline_s:
            raise MzpipeError(f"{what} (pid {child.pid}): did not end within {_TIMEOUT_S:.0f} s")
    return False
