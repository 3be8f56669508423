"""Turns the operating system's file errors into ours, with the path in the text."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mzpipe.errors import InputOutputError


@contextmanager
def file_errors(verb: str, path: Path) -> Iterator[None]:
    """Raises InputOutputError "cannot VERB PATH: reason" for an OSError of its block."""
    try:
        yield
    except OSError as error:
        raise InputOutputError(f"cannot {verb} {path}: {error.strerror or error}") from error
