"""Whether the modules that a profile names may be imported: said on the command line, inherited by its processes."""

import os

_VARIABLE = "MZPIPE_ALLOW_ENV_IMPORT"


def allow_env_import(allowed: bool) -> None:
    """Gives this process and its children the permission, or takes an inherited one away."""
    os.environ.pop(_VARIABLE, None)
    if allowed:
        os.environ[_VARIABLE] = "1"


def env_import_allowed() -> bool:
    """Whether `--allow-env-import` was given."""
    return os.environ.get(_VARIABLE) == "1"
