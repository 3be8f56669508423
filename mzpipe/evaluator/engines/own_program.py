"""The program of an engine: lines go in, lines come out, each within a limit of time and length."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Sequence

from ...errors import OpponentError
from ...format import shown
from ...runtime.process import describe_exit

SETTING = "evaluator.opponent_command"
# A line that is longer, or that many lines without the awaited one, are no protocol's.
MAX_LINE_BYTES, MAX_LINES = 65_536, 100_000
# An engine that is told to quit has this long, and is then killed.
_QUIT_S = 1.0


class EngineProgram:
    """A running engine. Every method raises OpponentError if it has ended, is silent or talks without end."""

    def __init__(self, command: Sequence[str], limit_s: float) -> None:
        """Starts it; an answer may take `limit_s` seconds."""
        self._command, self._limit_s = list(command), limit_s
        self._rest = b""
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError as error:
            raise OpponentError(f"{SETTING}: {command[0]!r} cannot be started: {error.strerror}") from None
        os.set_blocking(self._fileno("stdin"), False)

    def tell(self, line: str) -> None:
        """Hands over a line."""
        data, deadline_s = f"{line}\n".encode(), time.monotonic() + self._limit_s
        while data:
            self._await("stdin", select.POLLOUT, line, deadline_s)
            try:
                data = data[os.write(self._fileno("stdin"), data) :]
            except BrokenPipeError:
                raise self._ended(line) from None

    def answers(self, asked: str) -> "Answers":
        """The lines that follow `asked`, which is only said in errors."""
        return Answers(self, asked, time.monotonic() + self._limit_s)

    def fault(self, why: str) -> OpponentError:
        """An error of this engine."""
        return OpponentError(f"{SETTING}={shown(self._command)}: {why}")

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def read_line(self, asked: str, deadline_s: float) -> str:
        """The next line that it says, without white space around it."""
        while b"\n" not in self._rest:
            if len(self._rest) > MAX_LINE_BYTES:
                raise self.fault(f"it answered {asked!r} with a line of more than {MAX_LINE_BYTES:,} bytes")
            self._await("stdout", select.POLLIN, asked, deadline_s)
            said = os.read(self._fileno("stdout"), MAX_LINE_BYTES)
            if not said:
                raise self._ended(asked)
            self._rest += said
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _await(self, stream: str, event: int, asked: str, deadline_s: float) -> None:
        poller = select.poll()
        poller.register(self._fileno(stream), event)
        if not poller.poll(max(0.0, deadline_s - time.monotonic()) * 1e3):
            raise self.fault(f"it has not answered {asked!r} within evaluator.opponent_seconds={self._limit_s:g}")

    def _ended(self, asked: str) -> OpponentError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_QUIT_S)
        return self.fault(f"it {describe_exit(self._process.poll())} instead of answering {asked!r}")

    def _fileno(self, stream: str) -> int:
        return int(getattr(self._process, stream).fileno())


class Answers:
    """The lines of an engine's answer, with one limit of time for all of them."""

    def __init__(self, program: EngineProgram, asked: str, deadline_s: float) -> None:
        self._program, self._asked, self._deadline_s = program, asked, deadline_s
        self._left = MAX_LINES

    def next(self) -> str:
        """The next line."""
        self._left -= 1
        if self._left < 0:
            raise self._program.fault(f"it answered {self._asked!r} with more than {MAX_LINES:,} lines")
        return self._program.read_line(self._asked, self._deadline_s)
