"""Recorder: collects each game's transitions and writes them as trajectory records.

A game's transitions arrive one per move, interleaved with the other games', so
it collects them privately and copies them once into the claimed ring slot.

Shape legend    G games   L transitions of a trajectory   A actions
"""

from collections import deque

import numpy as np

from ..ipc.columns import allocate
from ..ipc.ring import RingWriter
from ..ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Steps, Trajectory
from ..ipc.shape import PlaneShape


class Recorder:
    """Trajectories of a batch of games; `first_game` numbers them within their actor."""

    def __init__(self, shape: PlaneShape, ring: RingWriter[Trajectory], *, num_games: int, first_game: int) -> None:
        self._ring, self._length_limit, self._first_game = ring, shape.trajectory_length, first_game
        self._frame = np.zeros((num_games, shape.trajectory_length, *shape.frame_shape), shape.frame_dtype)
        self._steps = allocate(Steps, shape.sizes(), num_games, shape.trajectory_length)
        self._games = np.arange(num_games)
        self._length_G = np.zeros(num_games, np.int32)
        self._offset_G = np.zeros(num_games, np.int64)
        self._episode_G = np.zeros(num_games, np.int64)
        self._end_G = np.zeros(num_games, np.int32)
        self._final_value_G = np.zeros(num_games, np.float32)
        self._full: deque[int] = deque()

    def add(
        self,
        frame_G: np.ndarray,
        steps: Steps,
        terminated_G: np.ndarray,
        truncated_G: np.ndarray,
        final_value_G: np.ndarray,
    ) -> None:
        """Adds one move of every game, a row each; final_value_G: value of the next state, used if the record ends.

        Precondition: `flush` returned True since the last call.
        """
        self._frame[self._games, self._length_G] = frame_G
        for column, values in zip(self._steps, steps, strict=True):
            if column is not None:
                column[self._games, self._length_G] = values
        self._length_G += 1
        self._end_G[:] = np.where(terminated_G, TERMINATED, np.where(truncated_G, TRUNCATED, UNFINISHED))
        self._final_value_G[:] = np.where(terminated_G, 0.0, final_value_G)
        self._full.extend(np.flatnonzero((self._end_G != UNFINISHED) | (self._length_G == self._length_limit)))

    @property
    def num_waiting(self) -> int:
        """Finished records that `flush` has not written yet."""
        return len(self._full)

    def flush(self) -> bool:
        """Writes finished records; returns False if the ring is full and some are left."""
        while self._full:
            slot = self._ring.claim()
            if slot is None:
                return False
            game = self._full.popleft()
            self._fill(slot, game)
            self._ring.commit()
            self._advance(game)
        return True

    def flush_unfinished(self) -> bool:
        """Writes every game's unfinished record; returns False if the ring is full and some are left.

        No move may follow.
        """
        waiting = set(self._full)
        self._full.extend(int(game) for game in np.flatnonzero(self._length_G) if int(game) not in waiting)
        return self.flush()

    def _fill(self, slot: Trajectory, game: int) -> None:
        length = self._length_G[game]
        slot.game[0], slot.episode[0] = self._first_game + game, self._episode_G[game]
        slot.offset[0], slot.length[0] = self._offset_G[game], length
        slot.end[0], slot.final_value[0] = self._end_G[game], self._final_value_G[game]
        slot.frame[:length] = self._frame[game, :length]
        for target, column in zip(slot.steps, self._steps, strict=True):
            if target is not None and column is not None:
                target[:length] = column[game, :length]

    def _advance(self, game: int) -> None:
        ended = self._end_G[game] != UNFINISHED
        self._offset_G[game] = 0 if ended else self._offset_G[game] + self._length_G[game]
        self._episode_G[game] += int(ended)
        self._length_G[game] = 0
