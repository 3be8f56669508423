"""mzpipe: MuZero on one workstation, as a pipeline of processes that share memory."""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import Evaluation, Player, Profile, Run, load_profile, make_game, train

__all__ = ["Evaluation", "Player", "Profile", "Run", "load_profile", "make_game", "train", "__version__"]


def __getattr__(name: str) -> Any:
    """Loads `mzpipe.api`, and what training needs with it, on first use only: `mzpipe.search` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import api

    return getattr(api, name)
