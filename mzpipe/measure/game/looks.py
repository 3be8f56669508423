"""Checks of a random play: each look returns a line, or raises GameError, which says what is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import GameError
from ...format import count
from .random_play import NUM_GAMES, RandomPlay


def _frames(play: RandomPlay) -> str:
    spec, frames = play.spec, [play.start_BF, *(move.result.frame_BF for move in play.moves)]
    for frame_BF in frames:
        _expect_array("a frame", frame_BF, (NUM_GAMES, *spec.frame_shape), spec.frame_dtype)
        if not np.isfinite(frame_BF).all():
            raise GameError("a frame holds numbers that are not finite")
    least, greatest = (fold([fold(frame_BF) for frame_BF in frames]) for fold in (np.min, np.max))
    return f"{spec.frame_dtype} {spec.frame_shape}, values from {least:.4g} to {greatest:.4g}"


def _ends(play: RandomPlay) -> str:
    for move in play.moves:
        _expect_array("rewards", move.result.reward_B, (NUM_GAMES,), "float32")
        _expect_array("terminated", move.result.terminated_B, (NUM_GAMES,), "bool")
        _expect_array("truncated", move.result.truncated_B, (NUM_GAMES,), "bool")
        if not np.isfinite(move.result.reward_B).all():
            raise GameError(f"a reward is not finite: {move.result.reward_B}")
        if (move.result.terminated_B & move.result.truncated_B).any():
            raise GameError("an episode was terminated and truncated at once")
    terminated, truncated = (
        sum(int(np.sum(getattr(move.result, name))) for move in play.moves) for name in ("terminated_B", "truncated_B")
    )
    return f"{count(terminated)} episodes terminated, {count(truncated)} truncated, none both"


def _legal_actions(play: RandomPlay) -> str:
    numbers = []
    for move in play.moves:
        _expect_array("legal actions", move.legal_BA, (NUM_GAMES, play.spec.num_actions), "bool")
        numbers += move.legal_BA.sum(axis=1).tolist()
    if min(numbers) < 1:
        raise GameError("no legal action though the game continues")
    least = "all" if min(numbers) == play.spec.num_actions else f"{min(numbers)} to {max(numbers)}"
    return f"{least} of {play.spec.num_actions} in every position"


def _players(play: RandomPlay) -> str:
    to_play_TB = np.stack([move.to_play_B for move in play.moves])
    seen = sorted(set(to_play_TB.ravel().tolist()))
    if not set(seen) <= set(range(play.spec.num_players)):
        raise GameError(f"to_play was {seen} in a game of {play.spec.num_players}")
    if play.spec.num_players == 2 and len(seen) < 2:
        raise GameError(f"a two-player game, but only player {seen[0]} ever moved: check that to_play() alternates")
    return f"{play.spec.num_players}"


def _arrays(play: RandomPlay) -> str:
    if play.overwritten:
        raise GameError("a later move wrote into an array that an earlier one returned: return a copy")
    return "unchanged after they were returned"


def _expect_array(what: str, array: Any, shape: tuple[int, ...], dtype: str) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        kind = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise GameError(f"{what}: {kind} instead of {dtype} {shape}, games first")


LOOKS: dict[str, Callable[[RandomPlay], str]] = {
    "frames": _frames,
    "ends": _ends,
    "legal actions": _legal_actions,
    "players": _players,
    "arrays": _arrays,
}
