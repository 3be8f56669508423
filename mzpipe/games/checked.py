"""Checks of a single game's return values against its spec; each raises GameError if the game breaks the protocol."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GameError
from .game import GameSpec

# Rewards are stored as float32.
_GREATEST = float(np.finfo(np.float32).max)


def checked_frame(spec: GameSpec, method: str, frame: Any) -> np.ndarray:
    """The frame that `method` returned, in the spec's dtype."""
    frame = np.asarray(frame)
    if frame.shape != spec.frame_shape:
        raise GameError(
            f"{spec.name}: {method}() returned a frame of shape {frame.shape}, frame_shape={spec.frame_shape}"
        )
    # A wider dtype would lose its upper bytes.
    if not np.can_cast(frame.dtype, spec.frame_dtype, "safe" if spec.frame_dtype == "uint8" else "same_kind"):
        raise GameError(f"{spec.name}: {method}() returned a frame of {frame.dtype}, frame_dtype={spec.frame_dtype!r}")
    with np.errstate(over="ignore"):
        frame = frame.astype(spec.frame_dtype, copy=False)
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise GameError(f"{spec.name}: {method}() returned a frame with numbers that are not finite")
    return frame


def checked_step(spec: GameSpec, step: Any) -> tuple[np.ndarray, float, bool, bool]:
    """The four values that `step` returned."""
    if not isinstance(step, tuple) or len(step) != 4:
        what = f"{len(step)} values" if isinstance(step, tuple) else type(step).__name__
        raise GameError(f"{spec.name}: step() must return (frame, reward, terminated, truncated), it returned {what}")
    frame, reward, terminated, truncated = step
    if not isinstance(reward, int | float | np.integer | np.floating) or not -_GREATEST <= reward <= _GREATEST:
        raise GameError(f"{spec.name}: step() returned the reward {reward!r}, which is not a finite number")
    if terminated and truncated:
        raise GameError(
            f"{spec.name}: step() said terminated and truncated at once: "
            "truncated is for a limit that cuts a game before the rules end it"
        )
    return checked_frame(spec, "step", frame), float(reward), bool(terminated), bool(truncated)


def checked_legal_actions(spec: GameSpec, legal_A: Any) -> NDArray[np.bool_]:
    """Returns the mask [A], which has at least one True."""
    legal_A = np.asarray(legal_A)
    if legal_A.shape != (spec.num_actions,) or legal_A.dtype != np.bool_:
        raise GameError(
            f"{spec.name}: legal_actions() returned {legal_A.dtype} {legal_A.shape}, "
            f"not a bool for each of num_actions={spec.num_actions}"
        )
    if not legal_A.any():
        raise GameError(f"{spec.name}: no legal action though the game continues: step() should have ended it")
    return legal_A


def checked_player(spec: GameSpec, player: Any) -> int:
    """Returns the player, which must be one of the game's."""
    if player not in range(spec.num_players):
        raise GameError(f"{spec.name}: to_play() returned {player!r}, num_players={spec.num_players}")
    return int(player)


def check_turns(spec: GameSpec, mover_B: np.ndarray, to_play_B: np.ndarray) -> None:
    """Checks who moved and who moves next in games that continue."""
    if spec.num_players == 2 and (mover_B == to_play_B).any():
        raise GameError(
            f"{spec.name}: to_play() said the same player twice in a row: two players move in turn (a pass is a move)"
        )


def checked_picture(spec: GameSpec, picture: Any) -> NDArray[np.uint8] | None:
    """Returns the picture, which must be uint8 [H, W, 3] or None."""
    if picture is None:
        return None
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise GameError(f"{spec.name}: render() returned {picture.dtype} {picture.shape}, not uint8 (H, W, 3)")
    return picture


def checked_names(spec: GameSpec, names: Any) -> tuple[str, ...]:
    """Returns the names, which must be a word for each action, or none at all."""
    names = tuple(names)
    if names and (len(names) != spec.num_actions or not all(isinstance(name, str) for name in names)):
        raise GameError(
            f"{spec.name}: action_names() returned {names}, not a word for each of num_actions={spec.num_actions}"
        )
    return names
