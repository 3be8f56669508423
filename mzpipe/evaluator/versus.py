"""Evaluation episodes of two-player games: the agent plays against an opponent and begins every other game.

A return is the game's outcome for the agent: 1 won, 0 drawn, -1 lost. A game
that reaches its move limit counts as drawn.

Shape legend    G games in parallel
"""

from typing import TYPE_CHECKING, cast

import numpy as np

from ..config import Profile
from ..games import Game, TwoPlayerGame
from ..planning import Planner
from .episodes import Episodes, EvaluationGames, GreedyEpisodes

if TYPE_CHECKING:
    from ..games.board import BoardGame
    from .opponents import Opponent


def make_episodes(profile: Profile, game: Game, planner: Planner, seed: int) -> EvaluationGames:
    """Greedy games: with one player, or with two against the profile's opponent."""
    count = profile.evaluator.episodes
    if game.spec.num_players == 1:
        return GreedyEpisodes(game, planner, count)
    assert profile.evaluator.opponent in game.spec.opponents
    if profile.evaluator.opponent == "every_line":
        from .every_line import EveryLine  # games of one player need no OpenSpiel, which the extra `boards` brings

        return EveryLine(cast("BoardGame", game), planner)
    from .opponents import make_opponent

    return VersusEpisodes(
        cast(TwoPlayerGame, game), planner, count, make_opponent(profile.evaluator, profile.game, seed)
    )


class VersusEpisodes(Episodes):
    """Games of the agent against an opponent, which replies in one game per lap because some think for long."""

    _game: TwoPlayerGame

    def __init__(self, game: TwoPlayerGame, planner: Planner, episodes: int, opponent: "Opponent") -> None:
        super().__init__(game, planner, episodes)
        self._opponent = opponent

    def close(self) -> None:
        """Ends the opponent's program, if it is one."""
        self._opponent.close()

    def give_up(self) -> None:
        """Ends the evaluation without a result, and the opponent's program, which is started again for the next."""
        super().give_up()
        self._opponent.close()

    def begin(self) -> None:
        """Starts every game anew; the agent begins every other one."""
        super().begin()
        self._seat_G = np.arange(self._game.num_games) % 2

    def do_work(self) -> int:
        """Lets the opponent reply in a game where it is to move; if there is none, searches the agent's moves."""
        if self._planner.idle:
            waiting = np.flatnonzero(self._game.to_play() != self._seat_G)
            if len(waiting):
                self._reply(int(waiting[0]))
                return 1
        return super().do_work()

    def _play(self, action_G: np.ndarray) -> None:
        self._move(action_G, np.ones(len(action_G), np.bool_), sign=1)

    def _reply(self, game: int) -> None:
        action_G = np.zeros(self._game.num_games, np.int64)
        action_G[game] = self._opponent.choose(self._game, game)
        self._move(action_G, np.arange(self._game.num_games) == game, sign=-1)

    def _move(self, action_G: np.ndarray, mask_G: np.ndarray, sign: int) -> None:
        step = self._game.step(action_G, mask_G)
        ended_G = self._count(step, sign * step.reward_B, mask_G)
        self._seat_G = np.where(ended_G, 1 - self._seat_G, self._seat_G)
