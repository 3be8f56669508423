"""History: the position of a board game after the actions so far, replayed from the initial one."""

from collections.abc import Sequence

import numpy as np

from ..config import GameConfig
from ..errors import UsageError
from ..games import FrameStack, Game, make_game

# Initial positions that are looked at; a game of somebody's own may draw them.
_NUM_STARTS = 8


class BoardHistory:
    """One board, played through from its initial position for every question."""

    def __init__(self, config: GameConfig) -> None:
        game = make_game(config, 1, seed=0, training=False)
        lacks = _lacks(game)
        if lacks:
            game.close()
            raise UsageError(f"{game.spec.name} has {lacks}: use act(observation), not move(history)")
        self._game, self._stack = game, FrameStack(game.spec, 1)

    def replay(self, history: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The stacked observation [1, S...] and the legal actions bool [1, A] behind the history.

        Raises UsageError for an illegal action, naming its ply, counted from 1, and for a finished game.
        """
        self._stack.reset(self._game.reset())
        ended = False
        for ply, action in enumerate(history, start=1):
            if ended:
                raise UsageError(f"history: the game was over before ply {ply} (action {action!r})")
            _refuse_illegal(self._game, ply, action)
            step = self._game.step(np.array([action], np.int64))
            self._stack.push(step.frame_BF)
            ended = bool(step.terminated_B[0] or step.truncated_B[0])
        if ended:
            raise UsageError(f"history: the game is over after its {len(history)} actions: there is no move to make")
        return self._stack.view(), self._game.legal_actions()

    def close(self) -> None:
        """Frees the game."""
        self._game.close()


def _lacks(game: Game) -> str:
    """What keeps actions alone from naming a position; nothing in most games of two."""
    if game.spec.num_players != 2:
        return "one player and no fixed initial position"
    first_BF = game.reset()
    if any(not np.array_equal(game.reset(), first_BF) for _ in range(_NUM_STARTS)):
        return "no fixed initial position"
    return ""


def _refuse_illegal(game: Game, ply: int, action: object) -> None:
    if not isinstance(action, int | np.integer) or not 0 <= action < game.spec.num_actions:
        raise UsageError(
            f"history: ply {ply} is {action!r}: {game.spec.name} has actions 0 to {game.spec.num_actions - 1}"
        )
    if not game.legal_actions()[0, action]:
        raise UsageError(f"history: ply {ply}, action {action} is illegal there")
