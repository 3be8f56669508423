"""A user's own code, named `module:Class` in a profile: imported only if the command line allows it."""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from .errors import ConfigError, MzpipeError, OwnCodeError
from .format import shown

_T = TypeVar("_T")
_VARIABLE = "MZPIPE_ALLOW_ENV_IMPORT"
_MODULE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
OWN_CLASS = rf"{_MODULE}:[A-Za-z_]\w*"
_CLASS = re.compile(OWN_CLASS)


def allow_own_code(allowed: bool) -> None:
    """Lets this process and its children import the code that profiles name as `module:Class`; False forbids it again.

    `train` has an argument of its own for this. Only for profiles and runs that you trust.
    """
    os.environ.pop(_VARIABLE, None)
    if allowed:
        os.environ[_VARIABLE] = "1"


def own_code_allowed() -> bool:
    """Whether `--allow-env-import` was given."""
    return os.environ.get(_VARIABLE) == "1"


def is_own_class(name: str) -> bool:
    """Whether a setting's value has the form `module:Class`."""
    return _CLASS.fullmatch(name) is not None


def check_permission(setting: str, name: str, *, does: str = "imports code") -> None:
    """Raises ConfigError unless the code that `setting` names may be imported, or run."""
    if not own_code_allowed():
        raise ConfigError(
            f"{setting}={name!r}: this {does}: give --allow-env-import if you trust it "
            "(in Python, mzpipe.allow_own_code(True))"
        )


def find_own_class(setting: str, name: str, error: type[OwnCodeError] = OwnCodeError) -> Any:
    """The class (or function) that `setting` names as `module:Class`.

    Raises ConfigError: no permission, no such module or class; `error`: the module raised while it was imported.
    """
    module, attribute = import_own(setting, name, error)
    if not hasattr(module, attribute):
        raise ConfigError(
            f"{setting}={name!r}: {getattr(module, '__file__', None) or module.__name__} has no {attribute}"
        )
    return getattr(module, attribute)


def import_own(setting: str, name: str, error: type[OwnCodeError] = OwnCodeError) -> tuple[ModuleType, str]:
    """The module of `module:Class`, and what stands after the colon; raises what `find_own_class` does.

    The module is also looked for in the directory in which the command was started.
    """
    check_permission(setting, name)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    module_name, _, attribute = name.partition(":")
    try:
        return asked(error, name, f"import {module_name}", importlib.import_module, module_name), attribute
    except OwnCodeError as failure:
        cause = failure.__cause__
        if isinstance(cause, ModuleNotFoundError):
            raise ConfigError(f"{setting}={name!r}: {cause}: looked in {os.getcwd()} and on PYTHONPATH") from None
        if isinstance(cause, ImportError | SyntaxError):
            raise ConfigError(f"{setting}={name!r}: {cause}") from None
        raise


def asked(
    error: type[OwnCodeError], name: str, place: str, function: Callable[..., _T], /, *arguments: Any, **options: Any
) -> _T:
    """What the user's code returns; an exception in it, or its sys.exit(), becomes an `error` that says where."""
    try:
        return function(*arguments, **options)
    except MzpipeError:
        raise
    except (Exception, SystemExit) as failure:  # the boundary to other people's code
        raise error(f"{name}: {place} {_told(failure)}") from failure


def _told(failure: BaseException) -> str:
    """What happened, and the innermost line of code where it did."""
    what = (
        f"called sys.exit({failure.code!r})"
        if isinstance(failure, SystemExit)
        else f"raised {type(failure).__name__}: {shown(failure)}"
    )
    traceback = failure.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or traceback.tb_frame.f_code.co_filename == __file__:
        return what
    return f"{what} ({Path(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno})"
