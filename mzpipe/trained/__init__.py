"""Trained: what one does with a trained agent: play, score, rate, film, inspect; and Player, for other scripts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .player import Decision, Player

__all__ = ["Decision", "Player"]


def __getattr__(name: str) -> Any:
    """Loads the player, and torch with it, for those only who ask: the supervisor passes here too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import player

    return getattr(player, name)
