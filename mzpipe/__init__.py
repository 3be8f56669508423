"""mzpipe: MuZero on one workstation, as a pipeline of processes that share memory."""

from .version import __version__

# Type checkers take this name for true. typing's own is not imported: `python -m mzpipe` would take a typing.py of the
# current directory for it, because this module runs before `__main__` makes the path safe.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .api import Evaluation, Player, Profile, Run, allow_own_code, load_profile, make_game, train

__all__ = [
    "Evaluation",
    "Player",
    "Profile",
    "Run",
    "allow_own_code",
    "load_profile",
    "make_game",
    "train",
    "__version__",
]


def __getattr__(name: str) -> "Any":
    """Loads `mzpipe.api`, and what training needs with it, on first use only: `mzpipe.search` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .supported import refuse_others

    refuse_others()
    from . import api

    return getattr(api, name)
