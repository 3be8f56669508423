"""scores.csv: one row per evaluation, in the order they were played."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mzpipe.errors import InputOutputError

from .files import file_errors
from .snapshot import Evaluation

# Each column with its kind. Files of runs that began before there were protocols have all but the last, and keep it so.
_KINDS = {
    "env_steps": int,
    "learner_steps": int,
    "weights_version": int,
    "episodes": int,
    "return_mean": float,
    "return_std": float,
    "protocol": str,
}
COLUMNS = tuple(_KINDS)
_FORMER_COLUMNS = COLUMNS[:-1]


class ScoresFile:
    """Appends evaluations to scores.csv; a row is written in one piece, its newline last."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def append(self, evaluation: Evaluation) -> None:
        """Adds a row, after the header in a new file and over a row that a crash cut short."""
        with file_errors("write", self._path):
            self._path.touch()
            with self._path.open("r+b") as file:
                content = file.read()
                whole_bytes = _whole_bytes(content)
                former = content.startswith(_encode([_FORMER_COLUMNS]))
                columns, header = (_FORMER_COLUMNS if former else COLUMNS), [] if whole_bytes else [COLUMNS]
                file.truncate(whole_bytes)
                file.seek(whole_bytes)
                file.write(_encode([*header, [getattr(evaluation, name) for name in columns]]))


def read_scores(path: Path | str) -> list[Evaluation]:
    """Every evaluation of the file, oldest first; none where there is no file yet.

    A last row without its newline was cut short by a crash and is left out. Raises InputOutputError for any other
    row that does not parse, and for a file with other columns.
    """
    path = Path(path)
    if not path.exists():
        return []
    with file_errors("read", path):
        content = path.read_bytes()
    header, *rows = _decode(content[: _whole_bytes(content)]) or [list(COLUMNS)]
    if tuple(header) not in (COLUMNS, _FORMER_COLUMNS):
        wrong, right = ",".join(header), ",".join(COLUMNS)
        raise InputOutputError(f"{path}: the columns are {wrong}, not {right}: move the file away")
    return [_parse(path, line, header, row) for line, row in enumerate(rows, start=2)]


def _whole_bytes(content: bytes) -> int:
    """The length of the rows that have their newline."""
    return content.rfind(b"\n") + 1


def _encode(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _decode(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(errors="replace"), newline="")))


def _parse(path: Path, line: int, header: list[str], row: list[str]) -> Evaluation:
    try:
        values: dict[str, Any] = {name: _KINDS[name](text) for name, text in zip(header, row, strict=True)}
        return Evaluation(**values)
    except ValueError as error:
        raise InputOutputError(f"{path}, line {line}: {','.join(row)!r} is not a row of scores: {error}") from error
