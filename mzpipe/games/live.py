"""The base of every family of games: which games are live, and the checks that all families share.

Shape legend    B games   A actions   F... one frame
"""

import numpy as np
from numpy.typing import NDArray

from .checked import check_frames, check_result
from .game import GameSpec, StepResult


class LiveGames:
    """Base of all families: records which games are live, and checks every step and what it returned."""

    def __init__(self, num_games: int) -> None:
        assert num_games >= 1, f"num_games={num_games}"
        self.num_games = num_games
        self._live_B = np.zeros(num_games, np.bool_)

    spec: GameSpec

    def _begin(self, mask_B: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Marks the games under the mask live; returns the mask as an array."""
        if mask_B is None:
            mask_B = np.ones(self.num_games, np.bool_)
        assert mask_B.shape == (self.num_games,) and mask_B.dtype == np.bool_, f"{mask_B.dtype} {mask_B.shape}"
        self._live_B = self._live_B | mask_B
        return mask_B

    def _check_step(self, action_B: np.ndarray, mask_B: NDArray[np.bool_] | bool = True) -> None:
        ended_B = mask_B & ~self._live_B
        assert not ended_B.any(), f"games {np.flatnonzero(ended_B)} have ended: reset them before the next step"
        if self.spec.action_size:
            assert action_B.shape == (self.num_games, self.spec.action_size), f"actions have shape {action_B.shape}"
            return
        assert action_B.shape == (self.num_games,), f"actions have shape {action_B.shape}"
        in_range = (action_B >= 0).all() and (action_B < self.spec.num_actions).all()
        assert in_range, f"actions {action_B} leave 0..{self.spec.num_actions - 1}"

    def _shown(self, frame_BF: np.ndarray) -> np.ndarray:
        """The frames to return from a reset."""
        return check_frames(self.spec, "reset", frame_BF)

    def _end(self, result: StepResult) -> StepResult:
        check_result(self.spec, result)
        self._live_B &= ~(result.terminated_B | result.truncated_B)
        return result


class SoloGame(LiveGames):
    """Base of the one-player families: all actions are legal."""

    def legal_actions(self) -> NDArray[np.bool_]:
        """Returns that all actions are legal, [B, A]."""
        return np.ones((self.num_games, self.spec.num_actions), np.bool_)

    def to_play(self) -> NDArray[np.int8]:
        """Returns player 0 for each game, [B]."""
        return np.zeros(self.num_games, np.int8)
