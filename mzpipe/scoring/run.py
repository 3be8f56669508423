"""Run: what one trained run scored in its game."""

from typing import NamedTuple

from ..games.figures import human_normalised


class Run(NamedTuple):
    """A run and its score; `game` as game_of gives it."""

    name: str
    game: str
    # The first word of what the games were played by: "greedy", "atari100k".
    protocol: str
    # With which the scored weights were trained.
    env_steps: int
    episodes: int
    # Over these episodes.
    return_mean: float
    return_std: float
    # (env steps, mean return) of every evaluation that is known, in order; learner steps where a run played nothing.
    curve: tuple[tuple[int, float], ...]

    @property
    def human_normalised(self) -> float | None:
        """Of the mean return; None in a game without figures."""
        return human_normalised(self.game, self.return_mean)
