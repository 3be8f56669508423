"""Uses of a trained agent: play against it, score it, rate it, film it, inspect it; and Player, for other scripts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .player import Decision, Player

__all__ = ["Decision", "Player"]

# Called as a verb proceeds: with the number done and the total (0: not known yet), or with the episode and its moves.
Progress = Callable[[int, int], None]


def __getattr__(name: str) -> Any:
    """Loads the player, and torch with it, on first use only: `mzpipe scores` needs neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import player

    return getattr(player, name)
