"""Trained: what one does with a trained agent: play, score, rate, film, inspect; and Player, for other scripts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .player import Decision, Player

__all__ = ["Decision", "Player"]

# Told how far a verb is: how many are done of how many (0: not known yet), or the episode and its moves so far.
Progress = Callable[[int, int], None]


def __getattr__(name: str) -> Any:
    """Loads the player, and torch with it, for those only who ask: the supervisor passes here too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import player

    return getattr(player, name)
