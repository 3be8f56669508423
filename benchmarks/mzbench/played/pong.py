"""Plays Pong without a network: a scripted player of mixed skill, from mzpipe's own frames.

The player steers its paddle at the ball. Each episode has its own share of random moves, drawn from 0 to 1, so that
good and bad play, won and lost points all occur.

Shape legend    L emulators side by side   T moves of each   F one frame (C, Y, X)   Y, X its rows and columns
"""

import dataclasses
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mzpipe.config import GameConfig
from mzpipe.games.atari import AtariGame

_SEED = 0
_STAY, _UP, _DOWN = "NOOP", "RIGHT", "LEFT"
# The rows of the court and the columns of its objects as shares of the screen's 210 x 160.
_ROWS, _BALL, _PADDLE = (34 / 210, 194 / 210), (20 / 160, 140 / 160), (140 / 160, 144 / 160)
# The player aims where the ball will be after this many moves, and stays if that is nearer than this share of the rows.
_MOVES_AHEAD, _NEAR = 1.0, 0.03


class Moves(NamedTuple):
    """Consecutive moves of each emulator; an episode's last move has `ends`."""

    frame_LTF: np.ndarray  # uint8, the frame that the action was chosen at
    action_LT: np.ndarray  # uint8
    scripted_LT: np.ndarray  # uint8, the action of the player without random moves
    reward_LT: np.ndarray  # float32
    ends_LT: np.ndarray  # bool


def cached_moves(directory: Path, config: GameConfig, num_moves: int, num_emulators: int) -> Moves:
    """The moves in the directory's file for these settings, which are played first if there is no such file."""
    config = dataclasses.replace(config, name="Pong", frame_stack=1, action_planes=False)
    file = directory / f"pong-{num_moves}-{num_emulators}-{zlib.crc32(repr(config).encode()):08x}.npz"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft.npz")
        np.savez_compressed(draft, **play(config, num_moves, num_emulators)._asdict())
        draft.replace(file)
    with np.load(file) as arrays:
        return Moves(**{name: arrays[name] for name in Moves._fields})


def play(config: GameConfig, num_moves: int, num_emulators: int) -> Moves:
    """Plays so many moves in all, the same ones every time."""
    rng, played = np.random.default_rng(_SEED), list[tuple[np.ndarray, ...]]()
    emulators = AtariGame(config, num_emulators, _SEED, training=True)
    frame_LF, player = emulators.reset(), _Player(num_emulators, emulators.action_names(), rng)
    while len(played) * num_emulators < num_moves:
        scripted_L, action_L = player.choose(frame_LF[:, 0])
        result = emulators.step(action_L)
        ends_L = result.terminated_B | result.truncated_B
        played.append((frame_LF, action_L, scripted_L, result.reward_B, ends_L))
        frame_LF = result.frame_BF
        if ends_L.any():
            frame_LF = emulators.reset(ends_L)
            player.restart(ends_L)
    emulators.close()
    return Moves(*(np.stack(column, axis=1) for column in zip(*played, strict=True)))


class _Player:
    """Steers every paddle at its ball, except for random moves."""

    def __init__(self, num_emulators: int, action_names: Sequence[str], rng: np.random.Generator) -> None:
        self._rng, self._random_share_L, self._num_actions = rng, rng.random(num_emulators), len(action_names)
        self._stay, self._up, self._down = (action_names.index(name) for name in (_STAY, _UP, _DOWN))
        self._ball_L = np.full(num_emulators, np.nan)

    def restart(self, mask_L: np.ndarray) -> None:
        """Draws another share of random moves for the games under the mask."""
        self._random_share_L = np.where(mask_L, self._rng.random(len(mask_L)), self._random_share_L)

    def choose(self, frame_LYX: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The scripted actions, and the ones to play."""
        ball_L, before_L = height(frame_LYX, _BALL), self._ball_L
        self._ball_L = ball_L
        speed_L = np.nan_to_num(ball_L - before_L)
        # Without a ball the difference is not a number, and the paddle stays.
        below_L = ball_L + _MOVES_AHEAD * speed_L - height(frame_LYX, _PADDLE)
        down_L = np.where(below_L > _NEAR, self._down, self._stay)
        scripted_L = np.where(below_L < -_NEAR, self._up, down_L).astype(np.uint8)
        random_L = self._rng.integers(self._num_actions, size=len(ball_L), dtype=np.uint8)
        is_random_L = self._rng.random(len(ball_L)) < self._random_share_L
        return scripted_L, np.where(is_random_L, random_L, scripted_L)


def height(frame_LYX: np.ndarray, columns: tuple[float, float]) -> np.ndarray:
    """The mean place of the things in these columns between the top (0) and the bottom (1); NaN if there are none."""
    side = frame_LYX.shape[1]
    (top, bottom), (left, right) = (_pixels(side, *each) for each in (_ROWS, columns))
    court_LYX = frame_LYX[:, top:bottom, left:right].astype(np.float64)
    bright_LY = np.abs(court_LYX - np.median(court_LYX, axis=(1, 2), keepdims=True)).sum(axis=2)
    place_Y = np.linspace(0.0, 1.0, bottom - top)
    total_L = bright_LY.sum(axis=1)
    return np.divide(bright_LY @ place_Y, total_L, out=np.full(len(total_L), np.nan), where=total_L > 0)


def _pixels(side: int, low: float, high: float) -> tuple[int, int]:
    """The pixels that lie wholly between these shares of the side, at least one."""
    first = int(np.ceil(low * side))
    return first, max(int(high * side), first + 1)
