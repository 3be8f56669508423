"""The process of one logger: `python -m mzpipe.loggers.program NAME PARENT_PID`, with a socket in place of stdin.

Reads   messages of the run (wire.py)
Writes  what the logger does with them; RUN/logs/logger-NAME.log has what it prints
Owns    other people's code, which may hang, crash and leak here
"""

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgpack

from ..errors import ExitCode, MzpipeError, OwnCodeError
from ..own_code import asked
from ..runtime.process import die_with_parent, end_process, ignore_terminal, write_stacks_on_signal
from .known import make_logger
from .protocol import LoggedRun, Logger, Meaning
from .wire import CLOSE, LOG, MAX_BYTES, MAX_SAID_BYTES, OPEN, Said


class Service:
    """Makes the logger, and calls it as the run asks."""

    def __init__(self, name: str, channel: socket.socket) -> None:
        self._name, self._channel = name, channel

    def run(self) -> int:
        """Serves until the run says close, or is gone; returns the exit code."""
        try:
            logger = make_logger(self._name)
        except MzpipeError as error:
            self._say(Said.FAILED, str(error))
            return error.exit_code
        self._say(Said.READY)
        while data := self._channel.recv(MAX_BYTES):
            kind, *fields = msgpack.unpackb(data)
            if self._serve(logger, kind, fields):
                self._say(Said.DONE)
                break
        return ExitCode.FINISHED

    def _serve(self, logger: Logger, kind: str, fields: list[Any]) -> bool:
        """Returns whether the process ends."""
        if kind == OPEN:
            run, log = fields
            _print_to(log)
            run["directory"] = Path(run["directory"])
            run["metrics"] = tuple(Meaning(*each) for each in run["metrics"])
            return not self._ask(logger, OPEN, LoggedRun(**run))
        if self._ask(logger, kind, *fields) and kind == LOG:
            self._say(Said.LOGGED)
        return kind == CLOSE

    def _ask(self, logger: Logger, method: str, *fields: Any) -> bool:
        """Calls a method; returns whether it succeeded."""
        try:
            asked(OwnCodeError, self._name, f"{method}()", getattr(logger, method), *fields)
        except MzpipeError as error:
            self._say(Said.FAILED, str(error))
            return False
        return True

    def _say(self, word: Said, why: str = "") -> None:
        self._channel.send(f"{word} {why}".encode(errors="replace")[:MAX_SAID_BYTES])


def _print_to(log: str) -> None:
    """Sends what is printed from now on to this file, or nowhere if the disk takes none."""
    for path in (log, os.devnull):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.close(descriptor)
            return


def _take_channel() -> socket.socket:
    """The socket that stands in for stdin, which then is empty: a logger may read it, and start processes that do."""
    channel = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    return channel


def main(name: str, parent_pid: str) -> int:
    """Runs the program."""
    ignore_terminal()
    die_with_parent(int(parent_pid))
    write_stacks_on_signal()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the run is gone, and nobody listens
        return Service(name, _take_channel()).run()
    return ExitCode.FINISHED


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
