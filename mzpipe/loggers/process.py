"""A logger in a process of its own, as the run sees it: no call of it waits for the logger.

Points wait in a queue of bounded length; if it is full, the oldest is dropped. A process that ends is not started again
in the same session.
"""

import dataclasses
import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgpack

from ..errors import OwnCodeError
from ..runtime.environment import child_environment
from ..runtime.process import describe_exit, spawn
from .known import SETTING
from .protocol import LoggedRun
from .wire import CLOSE, LOG, MAX_BYTES, MAX_SAID_BYTES, OPEN, Said

# At the default interval, points of 21 minutes.
MAX_WAITING = 256
# Taken in at one look, so that a logger that only talks holds no look up.
_MAX_HEARD = 1024
# A killed process that has not ended by then is stuck in the kernel, and is left to it.
_DEATH_MS = 500


class LoggerProcess:
    """One logger's process, from before it is made to its end; `note` shows a line."""

    def __init__(self, name: str, log: Path, note: Callable[[str], None]) -> None:
        """Starts it; what it prints goes to the file `log` until the run is opened."""
        self.name, self._log, self._note = name, log, note
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BYTES)
        with theirs, open(log, "wb") as output:
            words = ["mzpipe.loggers.program", name, str(os.getpid())]
            self._child = spawn(words, environment=child_environment(1), log=output, stdin=theirs.fileno())
        self._waiting: deque[bytes] = deque()
        self.is_over = self.is_ready = False
        self._is_opened = self._is_closing = self._is_done = self._is_silent = self._is_told_slow = False
        self._failure, self._given, self._logged = "", 0, 0

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Readable when a look has something to do; none once the process has ended."""
        if self.is_over:
            return ()
        return (self._child.pidfd,) if self._is_silent else (self._child.pidfd, self._channel.fileno())

    def refuse_unready(self) -> None:
        """Raises OwnCodeError if it ended, or failed, before the logger was made."""
        if self._failure and not self.is_ready:
            raise OwnCodeError(_worded(self._failure))

    def open(self, run: LoggedRun, logs: Path) -> None:
        """Has the logger opened for a run; `logs` is where what it prints goes from now on."""
        self._is_opened, self._log = True, logs / f"{log_name(self.name)}.log"
        fields = {**dataclasses.asdict(run), "directory": str(run.directory)}
        self._waiting.append(msgpack.packb([OPEN, fields, str(self._log)]))
        self.look()

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Hands over a point, or has it wait its turn."""
        self._given += 1
        if self.is_over:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._tell_slow()
        self._waiting.append(msgpack.packb([LOG, values, env_steps, learner_steps, time]))
        self.look()

    def look(self) -> None:
        """Hands over what waits, and takes in what the logger says."""
        if self.is_over:
            return
        has_ended = self._has_ended()
        self._hear()
        if has_ended:
            self._bury()
        else:
            self._hand_over()

    def close(self) -> None:
        """Has the logger closed after the points that wait; the process then ends by itself."""
        if not self._is_opened:
            self.kill()
        if not self.is_over and not self._is_closing:
            self._is_closing = True
            self._waiting.append(msgpack.packb([CLOSE]))
            self.look()

    def kill(self) -> None:
        """Ends the process, and says so if it had been opened."""
        if self.is_over:
            return
        if self._is_opened:
            self._note(f"{SETTING}: {self.name} has not ended in time and is killed")
        self.is_over = self._is_done = True
        self._child.signal(signal.SIGKILL)
        if self._has_ended(_DEATH_MS):
            self._bury()

    def tell_missing(self) -> None:
        """Shows how many points were not logged, if any."""
        if self._logged < self._given:
            self._note(f"{SETTING}: {self.name} has logged {self._logged} of {self._given} points")

    def _has_ended(self, timeout_ms: int = 0) -> bool:
        poller = select.poll()
        poller.register(self._child.pidfd, select.POLLIN)
        return bool(poller.poll(timeout_ms))

    def _hand_over(self) -> None:
        while self._waiting:
            try:
                self._channel.send(self._waiting[0])
            except OSError:  # it has not read what it was given, or it has ended
                return
            self._waiting.popleft()

    def _hear(self) -> None:
        for _ in range(_MAX_HEARD):
            try:
                data = self._channel.recv(MAX_SAID_BYTES)
            except OSError:
                return
            if not data:
                self._is_silent = True
                return
            word, _, why = data.decode(errors="replace").partition(" ")
            self._take(word, why)

    def _take(self, word: str, why: str) -> None:
        self.is_ready |= word == Said.READY
        self._is_done |= word == Said.DONE
        self._logged += word == Said.LOGGED
        if word == Said.FAILED and not self._failure:
            self._failure = why
            if self._is_opened:
                self._note(f"{_worded(why)}: the run continues; more errors are counted, and not shown")

    def _tell_slow(self) -> None:
        if not self._is_told_slow:
            self._is_told_slow = True
            self._note(
                f"{SETTING}: {self.name} is slow: {MAX_WAITING} points wait, the oldest is dropped; more are counted"
            )

    def _bury(self) -> None:
        """Takes in the end of the process."""
        self.is_over, code = True, self._child.reap()
        self._hear()
        self._child.close()
        self._channel.close()
        self._waiting.clear()
        what = f"{self.name} {describe_exit(code)}"
        if not self._is_opened:
            self._failure = self._failure or what
        elif not self._is_done:
            self._note(f"{SETTING}: {what}: the run continues without it; what it said is in {self._log}")


def _worded(failure: str) -> str:
    return failure if failure.startswith(SETTING) else f"{SETTING}: {failure}"


def log_name(name: str) -> str:
    """The name of a logger's log, as a file name without its ending."""
    return f"logger-{name.replace(':', '.')}"
