"""Output that may fail without ending the run: a closed terminal, a pipe without a reader, a full disk."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

# Of a disk that is full, or that cannot be written to: that may change, so what comes later is tried again.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class LastingStream:
    """A text stream whose failed writes are told once; what cannot be written is lost.

    Unless the failure may pass, the stream is dropped, and later writes go nowhere.
    """

    def __init__(self, stream: TextIO, teller: "LastingStream | None" = None) -> None:
        self._stream, self._teller = stream, teller
        # Whether something could not be written.
        self.has_failed = False

    def write(self, text: str) -> int:
        """Writes the text if the stream can be written to."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes the lines if the stream can be written to."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes the stream if it can be written to."""
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def end(self) -> None:
        """Flushes the stream for the last time."""
        try:
            self._stream.flush()
        except OSError as error:
            self._tell(error)
            self._let_go()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _failed(self, error: OSError) -> None:
        self._tell(error)
        if error.errno not in _PASSING:
            self._let_go()

    def _tell(self, error: OSError) -> None:
        is_first, self.has_failed = not self.has_failed, True
        if self._teller is not None and is_first:
            self._teller.write(f"mzpipe: output cannot be written ({error.strerror}): continuing without it\n")
            self._teller.flush()

    def _let_go(self) -> None:
        """Redirects the descriptor itself to nowhere, because the interpreter flushes it once more at its end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextmanager
def lasting_output() -> Iterator[LastingStream]:
    """Keeps failed writes to stdout and stderr from raising inside; stderr, if it can, reports a failure of stdout."""
    stderr = LastingStream(sys.stderr)
    stdout = LastingStream(sys.stdout, teller=stderr)
    with redirect_stdout(cast(TextIO, stdout)), redirect_stderr(cast(TextIO, stderr)):
        try:
            yield stdout
        finally:
            stdout.end()
            stderr.end()
