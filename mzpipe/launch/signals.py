"""Signals: turns them into a descriptor that a poller can wait for, and into the outcome of a run."""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from ..config import Profile
from ..errors import ExitCode
from ..format import score
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Evaluated

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Ignored at the start, as under `nohup`, these stay ignored; a SIGINT does not.
_MAY_BE_IGNORED = (signal.SIGHUP, signal.SIGQUIT)


class SignalPipe:
    """Counts the signals in HANDLED, which then do not kill the process; use it as a context in the main thread."""

    def __init__(self) -> None:
        self._received: list[int] = []

    def __enter__(self) -> "SignalPipe":
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, self._handle) for number in HANDLED if not _is_ignored(number)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._read.close()
        self._write.close()

    @property
    def descriptor(self) -> int:
        """Readable once a signal has come; `first` and `count` empty it."""
        return self._read.fileno()

    def first(self) -> int | None:
        """The first signal received, if any."""
        self._drain()
        return self._received[0] if self._received else None

    def count(self) -> int:
        """The number of signals received; a SIGHUP after another signal is not counted."""
        self._drain()
        return len(self._received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP or not self._received:  # kernel and shell may both report that the terminal is gone
            self._received.append(number)

    def _drain(self) -> None:
        try:
            os.read(self._read.fileno(), 4096)
        except BlockingIOError:
            return


class PauseSignal:
    """Notes Ctrl-Z (SIGTSTP), which then does not stop the process; use it as a context in the main thread.

    `at_once` is called when the signal comes.
    """

    def __init__(self, at_once: Callable[[], None] = lambda: None) -> None:
        self._at_once = at_once

    def __enter__(self) -> "PauseSignal":
        self._requested = False
        self._former = signal.getsignal(signal.SIGTSTP)
        if self._former is not signal.SIG_IGN:
            signal.signal(signal.SIGTSTP, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTSTP, self._former)

    def take(self) -> bool:
        """Whether the signal has come since the last call."""
        requested, self._requested = self._requested, False
        return requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._at_once()


def _is_ignored(number: signal.Signals) -> bool:
    return number in _MAY_BE_IGNORED and signal.getsignal(number) is signal.SIG_IGN


# A watch looks at the run every turn, and ends it by returning a reason.
Watch = Callable[[DataPlane], str | None]


@dataclass(frozen=True)
class Outcome:
    """The end of a run: exit code, reason in one line, and the first traceback of a failure."""

    exit_code: ExitCode
    reason: str
    traceback: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the run ended for a failure, and neither at a limit nor by a signal."""
        return self.exit_code != ExitCode.FINISHED and not self.exit_code.is_signal


def signal_outcome(signals: SignalPipe, effect: str = "draining and saving a checkpoint") -> Outcome | None:
    """The outcome of a run that a signal ends; None if no signal has come."""
    number = signals.first()
    if number is None:
        return None
    return Outcome(ExitCode.of_signal(number), f"{signal.Signals(number).name}: {effect}")


def solved(profile: Profile, evaluation: Evaluated) -> Outcome | None:
    """The outcome of a run whose evaluation reached stop.return_mean; None if it did not."""
    goal = profile.stop.return_mean
    if goal is None or evaluation.return_mean < goal:
        return None
    reason = f"solved: mean return {score(evaluation.return_mean)} >= stop.return_mean={goal:g}"
    return Outcome(ExitCode.FINISHED, reason)
