"""All games that can happen against an agent: it moves greedily, its opponent makes every move that the rules allow.

The agent's moves depend on the position alone, so each line of the opponent
is one game, and a lowest outcome of 0 means that the agent cannot be beaten.

Shape legend    G positions searched in parallel
"""

import numpy as np
import pyspiel

from ..games.board import BoardGame
from .episodes import EpisodeResults, EvaluationGames

_History = tuple[int, ...]


class EveryLine(EvaluationGames):
    """Evaluation games, one per line: lines that the agent begins, and lines that the opponent begins."""

    _game: BoardGame

    def begin(self) -> None:
        """Starts from the initial position, and from every first move of the opponent."""
        self.results = EpisodeResults([], [])
        self._waiting: list[_History] = [()]
        self._searched: list[_History] = []
        self._reply(self._game.rules.new_initial_state())
        self.finished = False

    def _ask(self) -> None:
        """Searches as many positions as there are trees."""
        trees = self._game.num_games
        self._searched, self._waiting = self._waiting[-trees:], self._waiting[:-trees]
        self._set_up(self._searched + [self._searched[0]] * (trees - len(self._searched)))
        super()._ask()

    def _set_up(self, history_G: list[_History]) -> None:
        """Brings each game to its position."""
        self._stack.reset(self._game.reset(), None)
        for move in range(max(map(len, history_G))):
            under_way_G = np.array([len(history) > move for history in history_G])
            action_G = np.array([history[move] if len(history) > move else 0 for history in history_G])
            self._stack.push(self._game.step(action_G, under_way_G).frame_BF, under_way_G)

    def _play(self, action_G: np.ndarray) -> None:
        """Adds the agent's move to every searched line, and all replies to it."""
        self._moves += len(self._searched)
        for state, action in zip(self._game.states[: len(self._searched)], action_G, strict=False):
            child = state.child(int(action))
            if not self._count_if_over(child, state.current_player()):
                self._reply(child)
        self.finished = not self._waiting

    def _reply(self, state: pyspiel.State) -> None:
        """Adds every move of the opponent to the line that led to `state`."""
        agent = 1 - state.current_player()
        for action in state.legal_actions():
            child = state.child(action)
            if not self._count_if_over(child, agent):
                self._waiting.append(tuple(child.history()))

    def _count_if_over(self, state: pyspiel.State, agent: int) -> bool:
        """Whether the line has ended; if it has, counts its outcome for OpenSpiel's player `agent`."""
        if state.is_terminal():
            self.results.returns.append(state.returns()[agent])
            self.results.lengths.append(len(state.history()))
        return state.is_terminal()
