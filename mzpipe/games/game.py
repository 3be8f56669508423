"""The promises of every game: B games of one kind, stepped together.

Shape legend    B games   A actions   F... one frame (C, H, W for images, D for vectors)

A batch never resets itself: `step` ends a game by reporting `terminated` or
`truncated` together with the game's final frame, and the caller resets the ended
games before it steps again. Games return single frames; `stack.FrameStack` stacks them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, Protocol

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
    # where actions are vectors: their numbers as the environment's own step takes them
    action_numbers: "Numbers | None" = None
    objections: tuple[str, ...] = ()  # why its settings cannot begin a new run: without effect, or left open
    # whether two players' only reward is the last move's: 1 if it has won, 0 if drawn, -1 if lost
    has_outcome: bool = False
    symmetries: "tuple[Symmetry, ...]" = ()  # those of its rules, without the one that leaves all as it is
    has_chance: bool = False  # whether its rules say that chance plays too
    has_positions: bool = False  # whether it is a WalkableGame
    max_moves: int = 0  # of a game, of a WalkableGame's

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """One stacked observation: frames joined along the first axis."""
        return (self.frame_stack * self.frame_shape[0], *self.frame_shape[1:])

    @property
    def has_images(self) -> bool:
        """Whether frames are planes of bytes: images, or boards."""
        return self.frame_dtype == "uint8" and len(self.frame_shape) == 3

    @property
    def action_size(self) -> int:
        """The numbers of an action that is a vector; 0: actions are a list."""
        return len(self.action_numbers.lows) if self.action_numbers is not None else 0

    def own_action(self, index: int) -> int | np.ndarray:
        """The action with this number as the environment's own step takes it: one number, or one for each part."""
        return index + self.first_action if self.action_parts is None else self.action_parts.action(index)


class Parts(NamedTuple):
    """The parts of an action: each is one of `sizes` numbers, which count from `starts` or lie evenly up to `ends`."""

    sizes: tuple[int, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...] = ()  # of a grid in a Box; empty: the numbers are integers
    dtype: str = "int64"

    def action(self, index: int | NDArray[np.integer]) -> np.ndarray:
        """The parts [..., D] of the actions with these numbers [...]; the last part changes fastest."""
        place_D = np.stack(np.unravel_index(index, self.sizes), axis=-1)
        if not self.ends:
            return place_D + np.array(self.starts, np.int64)
        share_D = place_D / (np.array(self.sizes) - 1)
        return (np.array(self.starts) * (1.0 - share_D) + np.array(self.ends) * share_D).astype(self.dtype)

    def names(self) -> tuple[str, ...]:
        """The numbers of every action, as words."""
        return tuple(" ".join(f"{part:.3g}" for part in self.action(index)) for index in range(prod(self.sizes)))

    def joined(self, mask: np.ndarray) -> np.ndarray:
        """The mask of all actions from the parts' own masks, one after another; another mask as it is."""
        if mask.shape != (sum(self.sizes),):
            return mask
        joined = np.ones((), mask.dtype)
        for part in np.split(mask, np.cumsum(self.sizes)[:-1]):
            joined = np.multiply.outer(joined, part)
        return joined.ravel()


class Symmetry(NamedTuple):
    """A way to turn every position of a game into another one, which is played alike with the actions turned.

    Place p of a turned frame shows, in each of its planes, what place points[p] of the frame shows; action a of the
    turned game is action actions[a] of the game. Both are permutations. The places are those of a plane, row by row, or
    the numbers of a frame that is a vector.
    """

    points: tuple[int, ...]
    actions: tuple[int, ...]

    def turned_frames(self, frame_BF: np.ndarray) -> np.ndarray:
        """The frames of the turned games."""
        turned_BCP = frame_BF.reshape(len(frame_BF), -1, len(self.points))[..., list(self.points)]
        return turned_BCP.reshape(frame_BF.shape)

    def turned_actions(self, action_B: NDArray[np.integer]) -> NDArray[np.integer]:
        """What is played in the turned games where these actions are played in the games."""
        return np.argsort(self.actions)[action_B]


class Numbers(NamedTuple):
    """The numbers of an action that is a vector: each lies in -1 .. 1 here, and from `lows` to `highs` in its game."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    dtype: str

    def action(self, vector_D: np.ndarray) -> np.ndarray:
        """The environment's own numbers; those of integers have equal shares of -1 .. 1."""
        share_D = (np.clip(vector_D.astype(np.float64), -1.0, 1.0) + 1.0) / 2.0
        low_D, high_D = np.array(self.lows), np.array(self.highs)
        if np.dtype(self.dtype).kind == "f":
            return (low_D * (1.0 - share_D) + high_D * share_D).astype(self.dtype)
        return np.minimum(low_D + np.floor(share_D * (high_D - low_D + 1.0)), high_D).astype(self.dtype)

    def name(self, vector_D: np.ndarray) -> str:
        """The environment's own numbers as words."""
        return " ".join(f"{number:.3g}" for number in self.action(vector_D))


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

    def step(self, action_B: np.ndarray) -> StepResult:
        """Plays one action in every game, or one vector [B, D]; every game must be live."""
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


class WalkableGame(TwoPlayerGame, Protocol):
    """Games whose rules a search can walk: a position of one game can be put into another game of the same config."""

    def position(self, game: int) -> Any:
        """The position of a game that has not ended, with all of its history that the rules look at.

        No later move changes it.
        """
        ...

    def put(self, positions: Mapping[int, Any]) -> None:
        """Brings each of these games to a position, from which it is live; frames are those of before."""
        ...

    def replay(self, histories: Mapping[int, Iterable[int]]) -> None:
        """Brings each of these games to the position after these actions, which do not end it; frames are as above."""
        ...


def game_seeds(seed: int, num_games: int) -> list[int]:
    """One non-negative 31-bit seed per game, so that neighbouring batch seeds share no game."""
    words = np.random.SeedSequence(seed).generate_state(num_games)
    return [int(word) & 0x7FFF_FFFF for word in words]
