"""The loggers that a profile can name, and the one place that makes a logger from its name."""

from pkgutil import resolve_name
from typing import Any, NamedTuple

from ..errors import ConfigError, OwnCodeError
from ..extras import require
from ..own_code import asked, check_permission, find_own_class, is_own_class
from .protocol import Logger

SETTING = "telemetry.loggers"
# Written in the run's own process: a line in a file of the run directory, as TensorBoard's curves are.
JSONL = "jsonl"
METHODS = ("open", "log", "close")


class _Known(NamedTuple):
    package: str
    path: str


_KNOWN = {
    "trackio": _Known("trackio", "mzpipe.loggers.to_trackio:TrackioLogger"),
    "wandb": _Known("wandb", "mzpipe.loggers.to_wandb:WandbLogger"),
    "mlflow": _Known("mlflow", "mzpipe.loggers.to_mlflow:MlflowLogger"),
}


def check_name(name: str) -> None:
    """Raises what can be said of a logger before it is made.

    Raises UsageError: its package is not installed; ConfigError: no name of a class, or no permission to import it.
    """
    if name in _KNOWN:
        require(_KNOWN[name].package, f"{SETTING}={name!r}")
    elif name != JSONL and not is_own_class(name):
        raise ConfigError(f"{SETTING}={name!r}: a logger of your own is named module:Class, as in my_loggers:Mine")
    elif name != JSONL:
        check_permission(SETTING, name)


def make_logger(name: str) -> Logger:
    """A logger that is not open yet.

    Raises ConfigError: no permission, no such class; UsageError: a missing package; OwnCodeError: its code raised.
    """
    check_name(name)
    make: Any = resolve_name(_KNOWN[name].path) if name in _KNOWN else find_own_class(SETTING, name)
    logger: Logger = asked(OwnCodeError, name, "its constructor", make)
    missing = [f"{method}()" for method in METHODS if not callable(getattr(logger, method, None))]
    if missing:
        raise OwnCodeError(f"{name}: {type(logger).__name__} has no {', '.join(missing)} (see docs/loggers.md)")
    return logger
