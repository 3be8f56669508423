"""Greedy games of a player, one after another and a move at a time, for a viewer.

Shape legend    A actions   S... one stacked observation
"""

import warnings
from contextlib import nullcontext, suppress
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import GameError, GameWarning
from ..games import FrameStack, make_game
from ..games.endless import LONG_MOVES, endless_note
from ..games.watching import action_names, picture
from ..planning import derive_seed
from .player import Decision, Player


class Position(NamedTuple):
    """A position where a move was searched, and the decision; the arrays belong to the caller."""

    # Both counted from 0.
    episode: int
    step: int
    observation_S: np.ndarray
    # The player to move, and that player's rewards since the episode began.
    to_play: int
    return_so_far: float
    decision: Decision


class Outcome(NamedTuple):
    """The outcome of a move; the reward is that of the player who moved."""

    reward: float
    terminated: bool
    truncated: bool


class WatchedGame:
    """Games that repeat from `seed`: `begin`, then `decide` and `play` until `ended`.

    `episode` and `step` say which move is next, both counted from 0.
    """

    def __init__(self, player: Player, seed: int) -> None:
        self.player = player
        self._game = make_game(player.agent.profile.game, 1, derive_seed(seed, "watched"), training=False)
        self._stack = FrameStack(self._game.spec, 1)
        self._own_names = action_names(self._game)
        self._vectors_AD: np.ndarray | None = None  # where actions are vectors: those of the last decision
        self._longest, self._is_told = 0, False
        self.episode = -1
        self.step = 0
        self.ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with nullcontext() if kind is None else suppress(GameError):  # it must not hide the error that came before
            self._game.close()

    @property
    def names(self) -> tuple[str, ...]:
        """A word for each action; where actions are vectors, the numbers of each candidate of the last decision."""
        numbers = self._game.spec.action_numbers
        if numbers is None or self._vectors_AD is None:
            return self._own_names
        return tuple(map(numbers.name, self._vectors_AD))

    def begin(self) -> None:
        """Starts the next episode, even if the last one has not ended."""
        self._frame_BF = self._game.reset()
        self._stack.reset(self._frame_BF)
        self._returns = np.zeros(self._game.spec.num_players)
        self.episode, self.step, self.ended = self.episode + 1, 0, False

    def decide(self) -> Position:
        """Searches the current position."""
        observation_1S = self._stack.view()
        to_play = int(self._game.to_play()[0])
        decision = self.player.decide(observation_1S, self._game.legal_actions(), game=self._game)
        candidates_BAD = self.player.search.candidates_BAD
        self._vectors_AD = None if candidates_BAD is None else candidates_BAD[0].copy()
        return Position(
            self.episode, self.step, observation_1S[0].copy(), to_play, float(self._returns[to_play]), decision
        )

    def allows(self, action: int) -> bool:
        """Whether the action is legal in the current position."""
        return bool(self._game.legal_actions()[0, action])

    def taken(self, action: int) -> np.ndarray:
        """The action as the game and the model take it: the number itself, or this candidate of the last decision."""
        return np.array(action, np.int64) if self._vectors_AD is None else self._vectors_AD[action]

    def play(self, action: int) -> Outcome:
        """Plays a legal action, or a candidate of the last decision; one player's reward is the other's loss."""
        mover = self._game.to_play()[0]
        step = self._game.step(self.taken(action)[None])
        outcome = Outcome(float(step.reward_B[0]), bool(step.terminated_B[0]), bool(step.truncated_B[0]))
        self._frame_BF = step.frame_BF
        self._stack.push(step.frame_BF)
        self._returns -= outcome.reward * (np.arange(len(self._returns)) != mover)
        self._returns[mover] += outcome.reward
        self.step += 1
        self.ended = outcome.terminated or outcome.truncated
        self._note_endless()
        return outcome

    def _note_endless(self) -> None:
        note = endless_note(self.step, self._longest, endless_moves=LONG_MOVES)
        if note is not None and not self._is_told:
            self._is_told = True
            warnings.warn(f"{note}, or give `record` --max-moves", GameWarning, stacklevel=1)
        if self.ended:
            self._longest = max(self._longest, self.step)

    @property
    def returns(self) -> NDArray[np.float64]:
        """Sum of rewards of each player since the episode began."""
        return self._returns.copy()

    def picture(self) -> NDArray[np.uint8]:
        """The current picture of the game, uint8 [H, W, 3]; for Atari, call it before the first move too."""
        return picture(self._game, self._frame_BF[0])
