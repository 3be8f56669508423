"""Checks a CartPole run's journal from outside: each transition must follow from the one before by the laws of motion.

A transition that is torn, swapped, altered or stored under another episode does not: one push the other way changes a
speed by ten thousand times the tolerance.

Shape legend    N transitions in the order of (actor, epoch, game, episode, move)
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mzpipe.ipc.schema import TERMINATED, TRUNCATED, UNFINISHED
from mzpipe.replay.journal import StoredTrajectory, has_journal, read_journal
from tests.drills.report import Row

# CartPole-v1, as in gymnasium/envs/classic_control/cartpole.py.
_GRAVITY, _POLE_MASS, _TOTAL_MASS, _LENGTH, _FORCE, _TICK_S = 9.8, 0.1, 1.1, 0.5, 10.0, 0.02
_LIMITS = np.array([2.4, 12 * 2 * np.pi / 360])  # of place and angle
_START, _MOVES = 0.05, 500
# Frames are rounded to float32, the state is not.
_ROUNDING = 2e-5
EPOCH_BITS = 32


class Played(NamedTuple):
    """The transitions of a journal; `end_N` is UNFINISHED but at the end of an episode."""

    actor_N: np.ndarray
    epoch_N: np.ndarray
    game_N: np.ndarray
    episode_N: np.ndarray
    move_N: np.ndarray
    end_N: np.ndarray
    action_N: np.ndarray
    reward_N: np.ndarray
    frame_N4: np.ndarray

    def __len__(self) -> int:  # type: ignore[override]
        return self[0].shape[0]

    @property
    def key_5N(self) -> np.ndarray:
        """What no two transitions may share: actor, epoch, game, episode, move."""
        return np.stack(self[:5])

    def at(self, rows: np.ndarray) -> "Played":
        """Some of the transitions."""
        return Played(*(column[rows] for column in self))


class Findings(NamedTuple):
    """What is wrong with stored transitions."""

    transitions: int
    torn: int
    duplicated: int

    def row(self) -> Row:
        """The promise that nothing is wrong with them."""
        measured = f"{self.torn}, {self.duplicated} of {self.transitions:,}"
        return Row("R6", "torn, and stored twice", measured, "0, 0", self.torn == self.duplicated == 0)


def played_in(trajectories: Iterable[StoredTrajectory]) -> Played:
    """The transitions of stored trajectories."""
    parts: list[tuple[np.ndarray, ...]] = []
    for _, actor, epoch, record in trajectories:
        length = int(record.length[0])
        same = (np.full(length, int(number)) for number in (actor, epoch, record.game[0], record.episode[0]))
        end_N = np.full(length, UNFINISHED)
        end_N[-1] = record.end[0]
        steps, move_N = record.steps, int(record.offset[0]) + np.arange(length)
        frame_N4 = np.array(record.frame[:length], np.float64)
        parts.append((*same, move_N, end_N, steps.action[:length], steps.reward[:length], frame_N4))
    if not parts:
        return Played(*(np.zeros(0, np.int64) for _ in range(8)), np.zeros((0, 4)))
    joined = Played(*map(np.concatenate, zip(*parts, strict=True)))
    return joined.at(np.lexsort(joined.key_5N[::-1]))


def check(played: Played) -> Findings:
    """Counts transitions that break the laws of motion, and those that are there twice."""
    if not len(played):
        return Findings(0, 0, 0)
    key_5N = played.key_5N
    is_again_N = np.append(False, (key_5N[:, 1:] == key_5N[:, :-1]).all(0))
    return Findings(len(played), int(_is_torn(played.at(~is_again_N)).sum()), int(is_again_N.sum()))


def _is_torn(played: Played) -> np.ndarray:
    """Whether a transition contradicts itself, or the one before it in its episode, if that is stored."""
    following_N4, end_N = _after(played.frame_N4, played.action_N), played.end_N
    over_N2 = np.abs(following_N4[:, [0, 2]]) - _LIMITS
    is_over_N, is_close_N = (over_N2 > 0).any(1), (np.abs(over_N2) < _ROUNDING).any(1)
    is_last_N = played.move_N == _MOVES - 1
    expected_N = np.where(is_over_N, TERMINATED, np.where(is_last_N, TRUNCATED, UNFINISHED))
    wrong_N = (end_N != expected_N) & ~is_close_N
    wrong_N |= (played.move_N >= _MOVES) | (played.reward_N != 1.0) | ~np.isin(played.action_N, (0, 1))
    wrong_N |= (played.move_N == 0) & (np.abs(played.frame_N4) > _START + _ROUNDING).any(1)
    key_5N = played.key_5N
    follows_N = (key_5N[:4, 1:] == key_5N[:4, :-1]).all(0) & (key_5N[4, 1:] == key_5N[4, :-1] + 1)
    jumps_N = (np.abs(following_N4[:-1] - played.frame_N4[1:]) > _ROUNDING).any(1)
    wrong_N[1:] |= follows_N & (jumps_N | (end_N[:-1] != UNFINISHED))
    return wrong_N


def _after(state_N4: np.ndarray, action_N: np.ndarray) -> np.ndarray:
    """The states that follow, by Euler's method."""
    _, speed_N, angle_N, turn_N = state_N4.T
    force_N = np.where(action_N == 1, _FORCE, -_FORCE)
    cos_N, sin_N = np.cos(angle_N), np.sin(angle_N)
    pole = _POLE_MASS * _LENGTH
    push_N = (force_N + pole * turn_N**2 * sin_N) / _TOTAL_MASS
    swing_N = (_GRAVITY * sin_N - cos_N * push_N) / (_LENGTH * (4.0 / 3.0 - _POLE_MASS * cos_N**2 / _TOTAL_MASS))
    pull_N = push_N - pole * swing_N * cos_N / _TOTAL_MASS
    change_N4 = np.stack([speed_N, pull_N, turn_N, swing_N], 1)
    return state_N4 + _TICK_S * change_N4


class Stored(NamedTuple):
    """How much a journal holds; `of_epochs`: transitions by (actor, its epoch), of trajectories from a serial on."""

    transitions: int
    last_serial: int
    of_epochs: Counter[tuple[int, int]]


def count_stored(directory: Path, after_serial: int = -1) -> Stored:
    """Counts the transitions of a journal that has not forgotten any; changes nothing."""
    transitions, last_serial, of_epochs = 0, -1, Counter[tuple[int, int]]()
    if has_journal(directory):
        for serial, actor, epoch, record in read_journal(directory).trajectories():
            length, last_serial = int(record.length[0]), serial
            transitions += length
            if serial > after_serial:
                of_epochs[actor, epoch % (1 << EPOCH_BITS)] += length
    return Stored(transitions, last_serial, of_epochs)
