"""Checks of what a game's own code returns, before games are batched, and of the batch, for every family.

Each raises GameError, whose line names the game, the place and the value.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import own_code
from ..errors import GameError
from ..format import shown
from .game import GameSpec, Parts, StepResult

_T = TypeVar("_T")
# Rewards are stored as float32.
GREATEST = float(np.finfo(np.float32).max)
_NUMBERS = (float, int, np.floating, np.integer, np.bool_)
_FLAGS = (bool, np.bool_, int, np.integer)


def asked(name: str, place: str, function: Callable[..., _T], /, *arguments: Any, **options: Any) -> _T:
    """What the game's own code returns; an error in it, or its sys.exit(), becomes a GameError that says where."""
    return own_code.asked(GameError, name, place, function, *arguments, **options)


def is_finite(array: np.ndarray) -> bool:
    """Whether every number of the array is finite."""
    return np.count_nonzero(np.isfinite(array)) == array.size


def checked_frame(spec: GameSpec, method: str, frame: Any) -> np.ndarray:
    """The frame that `method` returned, in the spec's dtype; `check_frames` looks at its numbers."""
    try:
        frame = np.asarray(frame)
    except ValueError as error:
        raise GameError(f"{spec.name}: {method}() returned a frame that is no array: {error}") from None
    if frame.shape != spec.frame_shape:
        raise GameError(
            f"{spec.name}: {method}() returned a frame of shape {frame.shape}, frame_shape={spec.frame_shape}"
        )
    # A wider dtype would lose its upper bytes.
    if not np.can_cast(frame.dtype, spec.frame_dtype, "safe" if spec.frame_dtype == "uint8" else "same_kind"):
        raise GameError(f"{spec.name}: {method}() returned a frame of {frame.dtype}, frame_dtype={spec.frame_dtype!r}")
    with np.errstate(over="ignore"):
        return frame.astype(spec.frame_dtype, copy=False)


def checked_reward(name: str, reward: Any) -> float:
    """The reward that `step` returned, which must be a number that float32 holds."""
    if isinstance(reward, np.ndarray) and reward.ndim == 0:
        reward = reward[()]
    if not isinstance(reward, _NUMBERS) or not -GREATEST <= reward <= GREATEST:
        raise GameError(f"{name}: step() returned the reward {shown(reward)}, which is not a finite number")
    return float(reward)


def checked_flag(name: str, what: str, flag: Any) -> bool:
    """`terminated` or `truncated`, as `step` returned it."""
    if isinstance(flag, np.ndarray) and flag.ndim == 0:
        flag = flag[()]
    if not isinstance(flag, _FLAGS):
        raise GameError(f"{name}: step() returned {what}={shown(flag)}, which is neither True nor False")
    return bool(flag)


def checked_step(spec: GameSpec, step: Any) -> tuple[np.ndarray, float, bool, bool]:
    """The four values that `step` returned."""
    if not isinstance(step, tuple) or len(step) != 4:
        what = f"{len(step)} values" if isinstance(step, tuple) else type(step).__name__
        raise GameError(f"{spec.name}: step() must return (frame, reward, terminated, truncated), it returned {what}")
    frame, reward, terminated, truncated = step
    reward = checked_reward(spec.name, reward)
    terminated = checked_flag(spec.name, "terminated", terminated)
    truncated = checked_flag(spec.name, "truncated", truncated)
    if terminated and truncated:
        raise GameError(
            f"{spec.name}: step() said terminated and truncated at once: "
            "truncated is for a limit that cuts a game before the rules end it"
        )
    return checked_frame(spec, "step", frame), reward, terminated, truncated


def check_frames(spec: GameSpec, method: str, frame_BF: np.ndarray) -> np.ndarray:
    """The frames of a whole batch, whose shape, dtype and numbers must be those that the spec promises."""
    if frame_BF.shape[1:] != spec.frame_shape or frame_BF.dtype != spec.frame_dtype:
        raise GameError(
            f"{spec.name}: {method}() returned frames of {frame_BF.dtype} {frame_BF.shape[1:]}, not of "
            f"{spec.frame_dtype} {spec.frame_shape}"
        )
    if spec.frame_dtype == "float32" and not is_finite(frame_BF):
        (value, *_) = frame_BF[~np.isfinite(frame_BF)]
        raise GameError(f"{spec.name}: {method}() returned a frame with numbers that are not finite: {value}")
    return frame_BF


def check_result(spec: GameSpec, result: StepResult) -> None:
    """One step of a whole batch, for families whose games return it as such."""
    check_frames(spec, "step", result.frame_BF)
    if not is_finite(result.reward_B):
        raise GameError(f"{spec.name}: step() returned the rewards {shown(result.reward_B)}, which are not finite")
    if np.count_nonzero(result.terminated_B & result.truncated_B):
        raise GameError(f"{spec.name}: step() said terminated and truncated at once")


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


def as_mask(told: np.ndarray, num_actions: int, parts: Parts | None) -> NDArray[np.bool_] | None:
    """bool [A] from a 0 or 1 for each action, or for each value of each of its parts; None for anything else."""
    mask_A = told if parts is None else parts.joined(told)
    if mask_A.shape != (num_actions,) or mask_A.dtype.kind not in "biu" or ((mask_A != 0) & (mask_A != 1)).any():
        return None
    return mask_A.astype(np.bool_)


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
