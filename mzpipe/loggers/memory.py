"""What a logger remembers of a run from one session to the next: RUN/loggers/NAME, one word."""

from collections.abc import Callable

from ..errors import InputOutputError
from ..reading import read_file
from ..runs.files import file_errors, replace_file
from .protocol import LoggedRun

_MAX_BYTES = 1 << 10


def remembered(run: LoggedRun, name: str, make: Callable[[], str]) -> str:
    """The word that a former session has kept for this logger, else a new one, kept from now on.

    Raises InputOutputError: it cannot be kept, or what is there is no word.
    """
    path = run.directory / "loggers" / name
    if path.exists():
        word = read_file(path, _MAX_BYTES).decode(errors="replace").strip()
        if not word.isprintable() or not word:
            raise InputOutputError(
                f"{path}: {word!r:.100} is not the id of a run: remove the file to begin another one"
            )
        return word
    word = make()
    with file_errors("write", path):
        path.parent.mkdir(exist_ok=True)
        replace_file(path, f"{word}\n".encode())
    return word
