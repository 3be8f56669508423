"""Board positions with known values, and an agent's moves and values in them.

A file is a CSV with a header and three columns: `moves`, the actions from the initial position ("3 3 2"); `value`, the
outcome of perfect play for the player to move; `keeping`, the actions that keep it.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import SearchInputError, UsageError
from .player import Player

_COLUMNS = ["moves", "value", "keeping"]


class Position(NamedTuple):
    """One line of a file."""

    moves: tuple[int, ...]
    value: float
    keeping: frozenset[int]


class Examined(NamedTuple):
    """What the agent did in one position."""

    position: Position
    action: int
    # The values of the search and of the network alone, for the player to move.
    value: float
    network_value: float
    num_legal_actions: int

    @property
    def has_choice(self) -> bool:
        """Whether some legal action gives the value away."""
        return len(self.position.keeping) < self.num_legal_actions

    @property
    def kept(self) -> bool:
        """Whether the action keeps what the position is worth."""
        return self.action in self.position.keeping


class Summary(NamedTuple):
    """Statistics over several examined positions."""

    positions: int
    # Positions where some action gives the value away, and the share of them in which it is kept: by the agent, and by
    # random play.
    with_a_choice: int
    kept: float
    kept_at_random: float
    # Mean absolute error of the search's value and of the network's own.
    value_error: float
    network_value_error: float


def load_positions(path: Path) -> list[Position]:
    """The positions of a file; raises UsageError, naming the line, for a line that is not a position."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error):  # empty, or no text
        header, rows = [], []
    if header != _COLUMNS or not rows:
        raise UsageError(f"{path}: not a file of positions: no header {','.join(_COLUMNS)!r}, or nothing after it")
    return [_position(row, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]


def examine(
    player: Player, positions: Sequence[Position], progress: Callable[[int], None] = lambda number: None
) -> list[Examined]:
    """The agent's move in every position, searched as in evaluations.

    Raises UsageError where Player.consider does, and for an illegal action in `keeping`; the error names the position,
    counted from 1.
    """
    examined = []
    for number, position in enumerate(positions, start=1):
        progress(number)
        try:
            decision = player.consider(position.moves)
        except (UsageError, SearchInputError) as error:
            raise type(error)(f"position {number}: {error}") from None
        legal = frozenset(np.flatnonzero(decision.legal_actions).tolist())
        if illegal := position.keeping - legal:
            raise UsageError(f"position {number}: keeping has {sorted(illegal)}, which is illegal there")
        examined.append(Examined(position, decision.action_index, decision.value, decision.network_value, len(legal)))
    return examined


def summarise(examined: Sequence[Examined]) -> Summary:
    """The summary of one or more positions; errors are means over all of them."""
    choices = [one for one in examined if one.has_choice]
    true = np.array([one.position.value for one in examined])
    return Summary(
        positions=len(examined),
        with_a_choice=len(choices),
        kept=_mean([one.kept for one in choices]),
        kept_at_random=_mean([len(one.position.keeping) / one.num_legal_actions for one in choices]),
        value_error=float(np.abs(true - [one.value for one in examined]).mean()),
        network_value_error=float(np.abs(true - [one.network_value for one in examined]).mean()),
    )


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers)) if numbers else 0.0


def _position(row: list[str], where: str) -> Position:
    try:
        moves, value, keeping = row
        position = Position(_actions(moves), float(value), frozenset(_actions(keeping)))
    except ValueError:
        raise UsageError(f"{where}: {','.join(row)!r}: moves, a value, and the actions that keep it") from None
    if not position.keeping or not np.isfinite(position.value):
        raise UsageError(f"{where}: {','.join(row)!r}: at least one action keeps the value, which is a finite number")
    return position


def _actions(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())
