"""Single games: the protocol of a game of your own, and a batch made of such games.

Shape legend    B games   A actions   F... one frame
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .checked import (
    asked,
    check_turns,
    checked_frame,
    checked_legal_actions,
    checked_names,
    checked_picture,
    checked_player,
    checked_step,
)
from .closing import close_all
from .game import GameSpec, StepResult, game_seeds
from .live import SoloGame

# The frame after the action, the reward of the player who moved, terminated (the rules ended the game) and truncated (a
# limit ended it).
Step: TypeAlias = tuple[np.ndarray, float, bool, bool]


class SingleGame(Protocol):
    """The members that a game must have; docs/games.md lists the optional ones.

    Optional: frame_dtype ("float32", the default, or "uint8", which networks see divided by 255), num_players (1 or
    2), symmetries (pairs of points and actions, see game.Symmetry), legal_actions() -> [A] of bool, to_play() -> 0 or
    1, close(); for people render() -> uint8 [H, W, 3] and action_names() -> a word for each action.
    """

    num_actions: int
    frame_shape: tuple[int, ...]

    def reset(self, seed: int) -> np.ndarray:
        """Starts an episode and returns its first frame; all its randomness comes from `seed`."""
        ...

    def step(self, action: int) -> Step:
        """Plays one action; called only while the game continues."""
        ...


class BatchedGame(SoloGame):
    """A batch of B single games; all their return values are checked.

    Raises GameError if a game breaks the protocol.
    """

    def __init__(self, spec: GameSpec, games: Sequence[SingleGame], seed: int, *, max_moves: int = 0) -> None:
        super().__init__(len(games))
        self.spec = spec
        self._games = games
        self._episode_seeds = [np.random.default_rng(game_seed) for game_seed in game_seeds(seed, len(games))]
        self._max_moves = max_moves
        self._moves_B = np.zeros(len(games), np.int64)
        self._frame_BF = np.zeros((len(games), *spec.frame_shape), spec.frame_dtype)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode."""
        mask_B = self._begin(mask_B)
        frame_BF = self._frame_BF.copy()
        for index, game in self._under(mask_B):
            seed = int(self._episode_seeds[index].integers(2**31))
            frame_BF[index] = checked_frame(self.spec, "reset", self._ask("reset", game.reset, seed))
        self._moves_B[mask_B] = 0
        self._frame_BF = frame_BF
        return self._shown(frame_BF)

    def step(self, action_B: NDArray[np.integer], mask_B: NDArray[np.bool_] | None = None) -> StepResult:
        """Plays one action in every game under the mask (None: all); they must be live. The others stay as they are."""
        if mask_B is None:
            mask_B = np.ones(self.num_games, np.bool_)
        self._check_step(action_B, mask_B)
        mover_B = self._to_play(mask_B)
        self._moves_B += mask_B
        frame_BF = self._frame_BF.copy()
        reward_B = np.zeros(self.num_games, np.float32)
        terminated_B, truncated_B = (np.zeros(self.num_games, np.bool_) for _ in range(2))
        for index, game in self._under(mask_B):
            step = checked_step(self.spec, self._ask("step", game.step, int(action_B[index])))
            frame_BF[index], reward_B[index], terminated_B[index], truncated_B[index] = step
        if self._max_moves:
            truncated_B |= mask_B & (self._moves_B >= self._max_moves) & ~terminated_B
        self._frame_BF = frame_BF
        goes_on_B = mask_B & ~(terminated_B | truncated_B)
        check_turns(self.spec, mover_B[goes_on_B], self._to_play(goes_on_B)[goes_on_B])
        return self._end(StepResult(frame_BF, reward_B, terminated_B, truncated_B))

    def legal_actions(self) -> NDArray[np.bool_]:
        """Returns each game's legal actions; all actions if a game does not say, or has ended."""
        legal_BA = super().legal_actions()
        for index, game in self._under(self._live_B):
            tell = getattr(game, "legal_actions", None)
            if tell is not None:
                legal_BA[index] = checked_legal_actions(self.spec, self._ask("legal_actions", tell))
        return legal_BA

    def to_play(self) -> NDArray[np.int8]:
        """Returns the player to move in each game; player 0 if a game does not say."""
        return self._to_play(np.ones(self.num_games, np.bool_))

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the first game's picture, uint8 [H, W, 3]; None if it draws none."""
        return checked_picture(self.spec, self._ask("render", getattr(self._games[0], "render", lambda: None)))

    def action_names(self) -> tuple[str, ...]:
        """Returns the first game's names of its actions, or none."""
        return checked_names(self.spec, self._ask("action_names", getattr(self._games[0], "action_names", tuple)))

    def close(self) -> None:
        """Closes the games that have a close(); raises GameError if one of them fails or does not return."""
        games, self._games = self._games, ()
        close_all(self.spec.name, games)

    def _ask(self, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return asked(self.spec.name, f"{method}()", function, *arguments)

    def _to_play(self, mask_B: NDArray[np.bool_]) -> NDArray[np.int8]:
        """Asks the games under the mask for their player; the others get 0."""
        to_play_B = super().to_play()
        for index, game in self._under(mask_B):
            tell = getattr(game, "to_play", None)
            if tell is not None:
                to_play_B[index] = checked_player(self.spec, self._ask("to_play", tell))
        return to_play_B

    def _under(self, mask_B: NDArray[np.bool_]) -> Iterator[tuple[int, SingleGame]]:
        return ((index, self._games[index]) for index in map(int, np.flatnonzero(mask_B)))
