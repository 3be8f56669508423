"""The evaluator: whole greedy games with one weights version."""

from importlib import import_module
from typing import Any

__all__ = ["Decision", "Player"]


def __getattr__(name: str) -> Any:
    """Imports `Decision` and `Player` from `mzpipe.trained`; scripts may still import them from here."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mzpipe.trained"), name)
