"""Tic-tac-toe as a game of mzpipe, on the rules of tests/known: two planes, mine and theirs, for the player to move."""

import numpy as np

from mzpipe.games import GameSpec, StepResult
from mzpipe.games.registry import FAMILIES, Family
from tests.known import tictactoe

NAME = "FakeBoard"


class FakeBoard:
    """B boards of two players; a win is worth 1 to who moved."""

    def __init__(self, config, num_games: int) -> None:
        self.num_games = num_games
        self.spec = GameSpec(NAME, "Tic-tac-toe of the tests", (2, 3, 3), "float32", config.frame_stack, 9, 2)
        self._states = [tictactoe.EMPTY] * num_games
        self._plies = np.zeros(num_games, np.int8)

    def reset(self, mask_B=None) -> np.ndarray:
        """Empties the boards under the mask."""
        for game in range(self.num_games):
            if mask_B is None or mask_B[game]:
                self._states[game], self._plies[game] = tictactoe.EMPTY, 0
        return self._frames()

    def step(self, action_B) -> StepResult:
        """One action on every board."""
        before = self._frames()
        played = [tictactoe.step(state, int(action)) for state, action in zip(self._states, action_B, strict=True)]
        reward_B = np.array([reward for reward, _ in played], np.float32)
        self._states = [state for _, state in played]
        self._plies += 1
        ended_B = np.array([state is tictactoe.OVER for state in self._states])
        frames = np.where(ended_B[:, None, None, None], before, self._frames())
        return StepResult(frames, reward_B, ended_B, np.zeros_like(ended_B))

    def legal_actions(self) -> np.ndarray:
        """Free squares."""
        return np.array([tictactoe.legal_actions(state) if state else [False] * 9 for state in self._states])

    def to_play(self) -> np.ndarray:
        """0 begins."""
        return (self._plies % 2).astype(np.int8)

    def close(self) -> None:
        """Nothing to free."""

    def _frames(self) -> np.ndarray:
        squares = [[[mask >> square & 1 for square in range(9)] for mask in state or (0, 0)] for state in self._states]
        return np.array(squares, np.float32).reshape(self.num_games, 2, 3, 3)


FAMILY = Family(NAME, lambda: (NAME,), lambda config, num_games, seed, training: FakeBoard(config, num_games))
FAMILIES_WITH_BOARD = (*FAMILIES, FAMILY)
