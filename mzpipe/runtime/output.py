"""Output that may fail without ending the run: a closed terminal, a pipe without a reader, a full disk."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast


class LastingStream:
    """A text stream that is dropped at its first failed write; later writes go nowhere."""

    def __init__(self, stream: TextIO, teller: "LastingStream | None" = None) -> None:
        self._stream, self._teller = stream, teller
        self.is_let_go = False

    def write(self, text: str) -> int:
        """Writes the text if the stream can be written to."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._let_go(error)
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
            self._let_go(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _let_go(self, error: OSError) -> None:
        """Redirects the descriptor itself to nowhere, because the interpreter flushes it once more at its end."""
        self.is_let_go = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if self._teller is not None:
            self._teller.write(f"mzpipe: output cannot be written ({error.strerror}): continuing without it\n")
            self._teller.flush()


@contextmanager
def lasting_output() -> Iterator[LastingStream]:
    """Keeps failed writes to stdout and stderr from raising inside; stderr, if it can, reports a failure of stdout."""
    stderr = LastingStream(sys.stderr)
    stdout = LastingStream(sys.stdout, teller=stderr)
    with redirect_stdout(cast(TextIO, stdout)), redirect_stderr(cast(TextIO, stderr)):
        try:
            yield stdout
        finally:
            stdout.flush()
