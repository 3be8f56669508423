"""All games that an agent can be brought to play: it moves greedily, its opponent in every way that the rules allow.

The agent's moves depend on the position alone, so each line of the opponent's
is one game, and a least outcome of 0 means that the agent cannot be beaten.

Shape legend    G positions searched side by side
"""

import numpy as np

from ..games import FrameStack
from ..games.board import BoardGame
from ..planning import LanePlanner
from .episodes import EpisodeResults

_GREEDY = 0.0
_History = tuple[int, ...]


class EveryLine:
    """Evaluation games, one per line: first those that the agent begins, then those that it does not."""

    def __init__(self, game: BoardGame, planner: LanePlanner) -> None:
        self._game, self._planner = game, planner
        self._stack = FrameStack(game.spec, game.num_games)
        self._rng = np.random.default_rng(0)  # greedy choice draws nothing
        self._moves = 0
        self.finished = True

    def begin(self) -> None:
        """Starts with the first position, and with every first move of the opponent's."""
        self.results = EpisodeResults([], [])
        self._waiting: list[_History] = [()]
        self._searched: list[_History] = []
        self._reply(())
        self.finished = False

    def do_work(self) -> int:
        """Begins a search of as many positions as there are trees, or takes an answer; never waits."""
        if self._planner.idle:
            self._begin_search()
            return 1
        if not self._planner.answered:
            return 0
        result = self._planner.advance()
        if result is not None:
            self._play(self._planner.choose(result, _GREEDY, self._rng))
        return 1

    def take_moves(self) -> int:
        """Moves of the agent's since the last call."""
        moves, self._moves = self._moves, 0
        return moves

    def _begin_search(self) -> None:
        trees = self._game.num_games
        self._searched, self._waiting = self._waiting[-trees:], self._waiting[:-trees]
        padded = self._searched + [self._searched[0]] * (trees - len(self._searched))
        self._set_up(padded)
        self._stack.write(self._planner.observation)
        self._planner.begin(self._game.legal_actions())

    def _set_up(self, history_G: list[_History]) -> None:
        """Brings each game to its position."""
        self._stack.reset(self._game.reset(), None)
        for move in range(max(map(len, history_G))):
            under_way_G = np.array([len(history) > move for history in history_G])
            action_G = np.array([history[move] if len(history) > move else 0 for history in history_G])
            self._stack.push(self._game.step(action_G, under_way_G).frame_BF, under_way_G)

    def _play(self, action_G: np.ndarray) -> None:
        """Adds the agent's move to every searched line, and all replies to it."""
        for history, action in zip(self._searched, action_G, strict=False):
            self._moves += 1
            line = (*history, int(action))
            if not self._count_if_over(line, sign=1):
                self._reply(line)
        self.finished = not self._waiting

    def _reply(self, line: _History) -> None:
        for reply in self._state(line).legal_actions():
            if not self._count_if_over((*line, reply), sign=-1):
                self._waiting.append((*line, reply))

    def _count_if_over(self, line: _History, sign: int) -> bool:
        """Whether the line's last action ended the game; if so, its outcome for the agent is counted."""
        state = self._state(line[:-1])
        mover = state.current_player()
        state.apply_action(line[-1])
        if state.is_terminal():
            self.results.returns.append(sign * state.returns()[mover] + 0.0)  # a draw is 0, not -0
            self.results.lengths.append(len(line))
        return state.is_terminal()

    def _state(self, line: _History):
        state = self._game.rules.new_initial_state()
        for action in line:
            state.apply_action(action)
        return state
