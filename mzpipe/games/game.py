"""The promises of every game: B games of one kind, stepped together.

Shape legend    B games   A actions   F... one frame (C, H, W for images, D for vectors)

A batch never resets itself: `step` ends a game by reporting `terminated` or
`truncated` together with the game's final frame, and the caller resets the ended
games before it steps again. Games return single frames; `stack.FrameStack` stacks them.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GameSpec:
    """The facts of a game that a network and a trajectory record need."""

    name: str  # canonical: "CartPole-v1", "Pong"
    description: str  # one line saying what was built
    frame_shape: tuple[int, ...]  # one frame, channels first: (4,), (1, 84, 84), (3, 96, 96)
    frame_dtype: str  # "float32" or "uint8"
    frame_stack: int  # number of frames stacked for the representation function
    num_actions: int  # actions are 0 to num_actions - 1
    num_players: int  # 1 or 2
    opponents: tuple[str, ...] = ()  # values of evaluator.opponent that can play it against an agent
    bytes_per_game: int = 0  # memory of one game beyond its arrays, if it is large: an emulator's
    first_action: int = 0  # what the environment's own step takes for action 0, as a Discrete with a start does
    # the parts that an action combines, where the environment's own step takes them
    action_parts: "Parts | None" = None
    objections: tuple[str, ...] = ()  # why its settings cannot begin a new run: without effect, or left open

    has_chance: bool = False  # whether its rules say that chance plays too

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """One stacked observation: frames joined along the first axis."""
        return (self.frame_stack * self.frame_shape[0], *self.frame_shape[1:])

    @property
    def has_images(self) -> bool:
        """Whether frames are planes of bytes: images, or boards."""
        return self.frame_dtype == "uint8" and len(self.frame_shape) == 3

    def own_action(self, index: int) -> int | NDArray[np.int64]:
        """The action with this number as the environment's own step takes it: one number, or one for each part."""
        return index + self.first_action if self.action_parts is None else self.action_parts.action(index)


class Parts(NamedTuple):
    """The parts of an action: each is one of `sizes` numbers, which count from `starts`."""

    sizes: tuple[int, ...]
    starts: tuple[int, ...]

    def action(self, index: int) -> NDArray[np.int64]:
        """The parts of the action with this number; the last part changes fastest."""
        return np.array(np.unravel_index(index, self.sizes)) + self.starts

    def joined(self, mask: np.ndarray) -> np.ndarray:
        """The mask of all actions from the parts' own masks, one after another; another mask as it is."""
        if mask.shape != (sum(self.sizes),):
            return mask
        joined = np.ones((), mask.dtype)
        for part in np.split(mask, np.cumsum(self.sizes)[:-1]):
            joined = np.multiply.outer(joined, part)
        return joined.ravel()


class StepResult(NamedTuple):
    """One step of all B games; the arrays are the caller's, no later call writes to them."""

    frame_BF: np.ndarray  # the frame after the action; for a game that ended, its final frame
    reward_B: NDArray[np.float32]  # of the action, for the player who took it
    terminated_B: NDArray[np.bool_]  # the rules ended the game: nothing follows
    truncated_B: NDArray[np.bool_]  # a limit cut the game: its value does not end there


class Game(Protocol):
    """B independent games of one kind."""

    spec: GameSpec  # the same for all games
    num_games: int  # B

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask (None: all) began a new episode.

        The first reset must be of all games; it alone uses the seed.
        """
        ...

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Plays one action in every game; every game must be live."""
        ...

    def legal_actions(self) -> NDArray[np.bool_]:
        """Which actions each game allows now, [B, A]."""
        ...

    def to_play(self) -> NDArray[np.int8]:
        """The player who moves next in each game, [B]."""
        ...

    def close(self) -> None:
        """Frees the emulators; safe to call twice."""
        ...


class TwoPlayerGame(Game, Protocol):
    """Games of two players in turn; a step may play only some of them, because in a match players search separately."""

    def step(self, action_B: NDArray[np.integer], mask_B: NDArray[np.bool_] | None = None) -> StepResult:
        """Plays one action in every game under the mask (None: all); the rewards are the mover's."""
        ...


def game_seeds(seed: int, num_games: int) -> list[int]:
    """One non-negative 31-bit seed per game, so that neighbouring batch seeds share no game."""
    words = np.random.SeedSequence(seed).generate_state(num_games)
    return [int(word) & 0x7FFF_FFFF for word in words]
