"""Figures: scores of a random player, a person and published agents in 57 Atari games; data/README.md has the sources.

The files' spellings become canonical names: `ms pacman` is `MsPacman`.
"""

import csv
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .board_rules import BOARDS
from .names import atari_names, canonical_name

# Published agents by their number of env steps, and the one that had 20 billion frames.
STEPS_100K = 100_000
AGENTS_100K = ("MuZero", "EfficientZero", "BBF")
MUZERO_20B = "MuZero 20B"

_DATA = Path(__file__).parent / "data"
_DESCRIPTION = re.compile(r"(?:Atari )?([^\s:]+(?::[^\s:]+)?)")
_BOARD = re.compile(r": (\d+x\d+) board\b")


class Figures(NamedTuple):
    """Raw scores in one game; `published` holds the published ones by agent."""

    random: float
    human: float
    published: Mapping[str, float]

    def normalised(self, score: float) -> float:
        """(score - random) / (human - random)."""
        return (score - self.random) / (self.human - self.random)


@functools.cache
def atari_figures() -> Mapping[str, Figures]:
    """The figures of all 57 games by canonical name."""
    figures = {}
    for game, row in _rows("muzero57.csv"):
        figures[game] = Figures(float(row["random"]), float(row["human"]), {MUZERO_20B: float(row["MuZero20B"])})
    for game, row in _rows("atari100k.csv"):
        published = {name: float(row[name]) for name in AGENTS_100K} | dict(figures[game].published)
        figures[game] = Figures(float(row["random"]), float(row["human"]), published)
    return figures


def game_of(text: str) -> str:
    """A game's own name, from any spelling or a description: `Pong` for `ALE/Pong-v5` and for `Atari Pong: 84x84 ...`.

    A game of one's own keeps its module: `my_games:Maze`. Boards of different sizes are different games: `go 9x9`.
    """
    match = _DESCRIPTION.match(text)
    name = text if match is None else match[1]
    board = _BOARD.search(text)
    if board is not None and name in BOARDS and BOARDS[name].size_parameter:
        return f"{name} {board[1]}"
    rom = atari_names().get(name)
    return name if rom is None else canonical_name(rom)


def human_normalised(game: str, score: float) -> float | None:
    """The score scaled to 0 for random play and 1 for a person; None without figures. `game` is as for game_of."""
    figures = atari_figures().get(game_of(game))
    return None if figures is None else figures.normalised(score)


def normalised_fields(game: str, score: float) -> dict[str, float]:
    """{"human_normalised": ...}, to write with a score; empty for a game without figures."""
    value = human_normalised(game, score)
    return {} if value is None else {"human_normalised": value}


def spoken_normalised(game: str, score: float) -> str:
    """The end of a line with a score: "; human-normalised 0.93"; empty for a game without figures."""
    value = human_normalised(game, score)
    return "" if value is None else f"; human-normalised {value:.2f}"


def _rows(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its game's canonical name."""
    with (_DATA / name).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spelt = row["game"]
            yield (canonical_name(spelt.replace(" ", "_")) if spelt.islower() else spelt), row
