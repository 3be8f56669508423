"""scores.csv: one row per evaluation, in the order in which they were played."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import GREEDY
from ..errors import InputOutputError
from ..reading import read_file
from .files import file_errors, replace_file


@dataclass(frozen=True)
class Evaluation:
    """The scores of whole games played with one weights version."""

    # Number of these weights' publication, counted from 1 over the whole run.
    weights_version: int
    # Both counts are from the time when the weights were published, not when the games ended.
    learner_steps: int
    # As learner_steps; 0 in a run that plays no games.
    env_steps: int
    # Mean return of the games.
    return_mean: float
    # Standard deviation of these returns.
    return_std: float
    # Number of games.
    episodes: int
    # The protocol's name.
    protocol: str = GREEDY
    # None in games without published figures, and if an older run did not write it.
    human_normalised: float | None = None

    @property
    def axis(self) -> int:
        """Its place on the x axis of curves: the env steps, or the learner steps of a run that plays no games."""
        return self.env_steps or self.learner_steps


def _known(cell: str) -> float | None:
    return float(cell) if cell else None


def _name(cell: str) -> str:
    if not cell.isprintable():
        raise ValueError("a name holds control characters")
    return cell


# The type of each column's cells. Files of older runs lack the later columns, and continue without them.
_FIRST: dict[str, Callable[[str], object]] = {
    "env_steps": int,
    "learner_steps": int,
    "weights_version": int,
    "episodes": int,
    "return_mean": float,
    "return_std": float,
}
_LATER: dict[str, Callable[[str], object]] = {"protocol": _name, "human_normalised": _known}
_KINDS = _FIRST | _LATER
COLUMNS = tuple(_KINDS)
_MAX_BYTES = 1 << 28


class ScoresFile:
    """Appends evaluations to scores.csv."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._refused: Evaluation | None = None

    def append(self, evaluation: Evaluation) -> None:
        """Adds a row; in a new file it follows the header, and it replaces a row that a crash cut short.

        If it raises InputOutputError, the row may yet be there. Given again next, it is not added twice.
        """
        given_again, self._refused = evaluation is self._refused, evaluation
        with file_errors("write", self._path):
            content = read_file(self._path, _MAX_BYTES) if self._path.exists() else b""
            whole = content[: _whole_bytes(content)]
            columns = _columns(self._path, whole)
            header = [] if whole else [columns]
            row = _encode([[getattr(evaluation, name) for name in columns]])
            if not (given_again and whole.endswith(b"\n" + row)):
                replace_file(self._path, whole + _encode(header) + row)
        self._refused = None


def read_scores(path: Path | str) -> list[Evaluation]:
    """Every evaluation in the file, oldest first; none if there is no file yet.

    A last row without a newline was cut short by a crash and is left out. Raises InputOutputError for any other
    row that does not parse, and for a file with other columns.
    """
    path = Path(path)
    if not path.exists():
        return []
    content = read_file(path, _MAX_BYTES)
    whole = content[: _whole_bytes(content)]
    columns = _columns(path, whole)
    return [_parse(path, line, columns, row) for line, row in enumerate(_decode(path, whole)[1:], start=2)]


def _columns(path: Path, whole: bytes) -> tuple[str, ...]:
    """The columns that the first row names; all columns if it is missing. Raises InputOutputError for unknown ones."""
    header = tuple(_decode(path, whole)[0]) if whole else COLUMNS
    if header[: len(_FIRST)] != tuple(_FIRST) or not _KINDS.keys() >= set(header):
        wrong, right = ",".join(header), ",".join(COLUMNS)
        raise InputOutputError(f"{path}: the columns are {wrong[:200]}, not {right}: move the file away")
    return header


def _whole_bytes(content: bytes) -> int:
    """The length of the rows that have their newline."""
    return content.rfind(b"\n") + 1


def _encode(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _decode(path: Path, content: bytes) -> list[list[str]]:
    lines = csv.reader(io.StringIO(content.decode(errors="replace"), newline=""))
    try:
        return list(lines)
    except csv.Error as error:
        raise InputOutputError(f"{path}, line {lines.line_num}: {error}") from None


def _parse(path: Path, line: int, columns: tuple[str, ...], row: list[str]) -> Evaluation:
    try:
        fields: dict[str, Any] = {name: _KINDS[name](cell) for name, cell in zip(columns, row, strict=True)}
    except ValueError as error:
        raise InputOutputError(
            f"{path}, line {line}: {','.join(row)[:100]!r} is not a row of scores: {str(error)[:100]}"
        ) from None
    return Evaluation(**fields)
