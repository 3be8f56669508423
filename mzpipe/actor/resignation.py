"""Resignation: ends training games that a player has given up, and measures how often that is wrong.

A player gives up after `actor.resign_moves` own moves in a row whose searches valued the position below
`actor.resign_below`. In a part of the games, drawn when they begin, none resigns: they show what would have become of
the others (AlphaGo Zero; Silver et al. 2017).

Shape legend    G games of a lane
"""

from collections.abc import Callable

import numpy as np

from ..config import ActorConfig
from ..games import StepResult
from ..ipc.counters import Counters

_NO_ONE = -1
# Above this share of wrong resignations a run says so, once there are this many games to tell it from.
_FALSE_SHARE, _LEAST_GAMES = 0.05, 40


class FalseResigns:
    """Counts resignations for all lanes of an actor; says once that too many would have been wrong."""

    def __init__(self, config: ActorConfig, counters: Counters, note: Callable[[str], None]) -> None:
        self._config, self._counters, self._note = config, counters, note
        self._is_told = False

    def count(self, *, resigned: int, played_out: int, false: int) -> None:
        """Counts games that ended in one move: resigned; played out although given up; and, of those, not lost."""
        for name, number in (("resigned", resigned), ("given_up", played_out), ("false_resigns", false)):
            self._counters.add(name, number)
        games, wrong = self._counters.get("given_up"), self._counters.get("false_resigns")
        if not self._is_told and games >= _LEAST_GAMES and wrong > _FALSE_SHARE * games:
            self._is_told = True
            self._note(
                f"of {games} training games that a player had given up and that were played out, {wrong} were not "
                f"lost: {100 * wrong / games:.0f} % of resignations are wrong, more than {100 * _FALSE_SHARE:.0f} %: "
                f"lower actor.resign_below={self._config.resign_below}, or raise actor.resign_moves="
                f"{self._config.resign_moves}"
            )


class Resignation:
    """The players of a lane's games; `below` is the value under which they give up."""

    def __init__(
        self, config: ActorConfig, below: float, false_resigns: FalseResigns, num_games: int, rng: np.random.Generator
    ) -> None:
        self._config, self._below, self._false_resigns, self._rng = config, below, false_resigns, rng
        self._games = np.arange(num_games)
        self._low_G2 = np.zeros((num_games, 2), np.int64)  # own moves in a row with a low value, by player
        self._given_up_by_G = np.full(num_games, _NO_ONE)
        self._is_played_out_G = self._drawn(num_games)

    def judge(self, step: StepResult, value_G: np.ndarray, to_play_G: np.ndarray) -> tuple[StepResult, np.ndarray]:
        """Takes the searches' values for the players who made this move.

        Returns the step with resigned games truncated, and which games these are, [G].
        """
        low_G = np.where(value_G < self._below, self._low_G2[self._games, to_play_G] + 1, 0)
        self._low_G2[self._games, to_play_G] = low_G
        gives_up_G = (low_G >= self._config.resign_moves) & (self._given_up_by_G == _NO_ONE)
        self._given_up_by_G[gives_up_G] = to_play_G[gives_up_G]
        resigned_G = gives_up_G & ~self._is_played_out_G & ~step.terminated_B
        self._count(step, resigned_G, to_play_G)
        step = step._replace(truncated_B=step.truncated_B | resigned_G)
        self._begin(step.terminated_B | step.truncated_B)
        return step, resigned_G

    def _count(self, step: StepResult, resigned_G: np.ndarray, to_play_G: np.ndarray) -> None:
        """The outcome is the reward of the move that ended the game, for the player who made it."""
        played_out_G = step.terminated_B & self._is_played_out_G & (self._given_up_by_G != _NO_ONE)
        outcome_G = np.where(self._given_up_by_G == to_play_G, step.reward_B, -step.reward_B)
        self._false_resigns.count(
            resigned=int(resigned_G.sum()),
            played_out=int(played_out_G.sum()),
            false=int((played_out_G & (outcome_G >= 0.0)).sum()),
        )

    def _begin(self, ended_G: np.ndarray) -> None:
        """New games in the places of those that have ended."""
        if ended_G.any():
            self._low_G2[ended_G], self._given_up_by_G[ended_G] = 0, _NO_ONE
            self._is_played_out_G[ended_G] = self._drawn(int(ended_G.sum()))

    def _drawn(self, num_games: int) -> np.ndarray:
        return self._rng.random(num_games) < self._config.never_resign_fraction
