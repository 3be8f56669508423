"""Action history for images: each frame gets a constant plane with the action that led to it (MuZero, appendix E).

Shape legend    B games   F... one frame (C, H, W), without the plane

The plane is part of the frame, its last channel, so history, replay and network
treat it as one more colour: 32 RGB frames of 96 x 96 with planes are the paper's
128 channels. Action a of A is 255 (a + 1) / A, rounded, in uint8 frames and
(a + 1) / A in float32 ones; an episode's first frame has 0. The paper has a / 18,
which is 0 both for its first action and for none.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .game import Game, GameSpec, StepResult
from .watching import action_names, picture


class ActionPlanes:
    """A batch of games whose frames carry the last action as one more channel."""

    def __init__(self, game: Game) -> None:
        self._game, self.num_games = game, game.num_games
        self.spec = _spec(game.spec)
        self._level_A = action_levels(game.spec)
        self._level_B = np.zeros(game.num_games, self._level_A.dtype)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """Resets the game; no action led to the first frame of an episode."""
        frame_BF = self._game.reset(mask_B)
        began_B = np.ones(self.num_games, np.bool_) if mask_B is None else mask_B
        self._level_B = np.where(began_B, self._level_B.dtype.type(0), self._level_B)
        return self._with_planes(frame_BF)

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Steps the game; the final frame of a game that ended carries its last action."""
        result = self._game.step(action_B)
        self._level_B = self._level_A[action_B]
        return result._replace(frame_BF=self._with_planes(result.frame_BF))

    def legal_actions(self) -> NDArray[np.bool_]:
        """Passes on to the game."""
        return self._game.legal_actions()

    def to_play(self) -> NDArray[np.int8]:
        """Passes on to the game."""
        return self._game.to_play()

    def render(self) -> NDArray[np.uint8]:
        """Returns the game's picture, or its frame without the plane."""
        return picture(self._game, self._frame_BF[0])

    def action_names(self) -> tuple[str, ...]:
        """Passes on to the game."""
        return action_names(self._game)

    def notes(self) -> list[str]:
        """Passes on to the game."""
        return list(getattr(self._game, "notes", list)())

    def close(self) -> None:
        """Passes on to the game."""
        self._game.close()

    def _with_planes(self, frame_BF: np.ndarray) -> np.ndarray:
        self._frame_BF = frame_BF
        return add_planes(frame_BF, self._level_B)


def action_levels(spec: GameSpec) -> np.ndarray:
    """Returns the value that fills the plane after each action, [A] in the frames' dtype."""
    dtype = np.dtype(spec.frame_dtype)
    most = 255 if dtype == np.uint8 else 1
    level_A = np.arange(1, spec.num_actions + 1) * most / spec.num_actions
    return (np.round(level_A) if dtype == np.uint8 else level_A).astype(dtype)


def add_planes(frame_BF: np.ndarray, level_B: np.ndarray) -> np.ndarray:
    """Frames with a constant plane as their last channel, in new arrays."""
    games, channels, *sides = frame_BF.shape
    frames = np.empty((games, channels + 1, *sides), frame_BF.dtype)
    frames[:, :-1] = frame_BF
    frames[:, -1] = level_B[:, None, None]
    return frames


def _spec(spec: GameSpec) -> GameSpec:
    """The spec with one more channel; raises ConfigError if frames are not images, or if the game has two players."""
    if len(spec.frame_shape) != 3:
        raise ConfigError(
            f"game.action_planes=True: {spec.name} has frames of {spec.frame_shape[0]} values, not images: leave it out"
        )
    if spec.num_players == 2:
        raise ConfigError(
            f"game.action_planes=True: {spec.name} has two players: leave it out, game.frame_stack shows earlier moves"
        )
    channels, *sides = spec.frame_shape
    return dataclasses.replace(
        spec,
        frame_shape=(channels + 1, *sides),
        description=f"{spec.description}, with action planes",
        symmetries=(),  # the plane's value is the action's number, which turns with no place
    )
