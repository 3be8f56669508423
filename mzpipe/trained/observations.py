"""Converts observations of a caller's environment into frames of the run's game.

Shape legend    F... one frame: [C, H, W] images or planes, [D] vectors
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import GameConfig
from ..errors import UsageError
from ..games import FrameStack, Game, GameSpec, make_game
from ..games.action_planes import action_levels, add_planes
from ..games.checked import as_mask
from ..games.closing import closed_if_it_fails

# The number of initial positions to compare; a user's own game may draw them at random.
_NUM_STARTS = 8
_NUMBERS = "fiub"


class BoardHistory:
    """One board, replayed from its initial position for every query."""

    def __init__(self, config: GameConfig) -> None:
        game = make_game(config, 1, seed=0, training=False)
        with closed_if_it_fails(game.spec.name, [game]):
            if lacks := _lacks(game):
                raise UsageError(f"{game.spec.name} has {lacks}: use act(observation), not move(history)")
        self.game, self._stack = game, FrameStack(game.spec, 1)

    def replay(self, history: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The stacked observation [1, S...] and the legal actions bool [1, A] after the history.

        Raises UsageError for a finished game, and for an illegal action, naming its ply (counted from 1).
        """
        self._stack.reset(self.game.reset())
        ended = False
        for ply, action in enumerate(history, start=1):
            if ended:
                raise UsageError(f"history: the game was over before ply {ply} (action {action!r})")
            _refuse_illegal(self.game, ply, action)
            step = self.game.step(np.array([action], np.int64))
            self._stack.push(step.frame_BF)
            ended = bool(step.terminated_B[0] or step.truncated_B[0])
        if ended:
            raise UsageError(f"history: the game is over after its {len(history)} actions: there is no move to make")
        return self._stack.view(), self.game.legal_actions()

    def close(self) -> None:
        """Frees the game."""
        self.game.close()


def _lacks(game: Game) -> str:
    """Why actions alone do not determine a position; empty in most two-player games."""
    if game.spec.num_players != 2:
        return "one player and no fixed initial position"
    if game.spec.has_chance:
        return "chance plays too"
    first_BF = game.reset()
    if any(not np.array_equal(game.reset(), first_BF) for _ in range(_NUM_STARTS)):
        return "no fixed initial position"
    return ""


def _refuse_illegal(game: Game, ply: int, action: object) -> None:
    if not isinstance(action, int | np.integer) or not 0 <= action < game.spec.num_actions:
        raise UsageError(
            f"history: ply {ply} is {action!r}: {game.spec.name} has actions 0 to {game.spec.num_actions - 1}"
        )
    if not game.legal_actions()[0, action]:
        raise UsageError(f"history: ply {ply}, action {action} is illegal there")


def as_frame(observation: Any, spec: GameSpec) -> np.ndarray:
    """One frame [F...] of the spec's shape and kind from one unstacked observation.

    Images come channels first, as mzpipe's games give them, or channels last, as gymnasium's wrappers do; a single
    channel may be left out. Where frames are bytes, the observation must be bytes; where they are float32, it may hold
    numbers of any kind. Raises UsageError for another shape or kind, and for values that are not finite in float32.
    """
    array = _as_array("observation", observation)
    shapes = accepted_shapes(spec)
    kinds = "u" if spec.frame_dtype == "uint8" else _NUMBERS
    is_taken = array.shape in shapes and array.dtype.kind in kinds
    if not is_taken or (kinds == "u" and array.dtype != np.uint8):
        expected = " or ".join(str(shape) for shape in shapes)
        raise UsageError(
            f"observation: {array.dtype} of shape {array.shape}; {spec.name} was trained on single {spec.frame_dtype} "
            f"frames of shape {expected}: preprocess as its profile says, and leave stacking to the player"
        )
    with np.errstate(over="ignore"):
        array = array.astype(spec.frame_dtype)
    if not np.isfinite(array).all():
        raise UsageError(f"observation: {spec.name} was given NaN, infinity or more than float32 holds")
    if array.shape == spec.frame_shape:
        return array
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def with_action_plane(frame_F: np.ndarray, spec: GameSpec, last_action: int | None) -> np.ndarray:
    """The frame with the plane of the action that led to it, as the run's games add it; None: no action."""
    level = action_levels(spec)[last_action] if last_action is not None else 0
    return add_planes(frame_F[None], np.array([level], frame_F.dtype))[0]


def accepted_shapes(spec: GameSpec) -> tuple[tuple[int, ...], ...]:
    """The shapes that as_frame takes, the spec's own first."""
    if len(spec.frame_shape) != 3:
        return (spec.frame_shape,)
    channels, *size = spec.frame_shape
    single = [tuple(size)] if channels == 1 else []
    return tuple(dict.fromkeys([spec.frame_shape, *single, (*size, channels)]))


def as_legal_actions(legal_actions: Any, spec: GameSpec) -> np.ndarray:
    """bool [A] from a mask of bool, or of 0 and 1 like gymnasium's `action_mask`; None: all. Raises UsageError."""
    num_actions = spec.num_actions
    if legal_actions is None:
        return np.ones(num_actions, np.bool_)
    told = _as_array("legal_actions", legal_actions)
    mask_A = as_mask(told, num_actions, spec.action_parts)
    if mask_A is None:
        raise UsageError(
            f"legal_actions: {told.dtype} of shape {told.shape}: give one True or False for each of the "
            f"{num_actions} actions"
        )
    if not mask_A.any():
        raise UsageError(f"legal_actions: none of the {num_actions} actions is legal: the game is over")
    return mask_A


def _as_array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise UsageError(f"{name}: not an array: {error}") from None
