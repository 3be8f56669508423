"""What a shell may have left set, with which no command of mzpipe could work: `mend` puts it right first."""

import os
import resource
import sys
import warnings

from ..errors import PlanError

_WIDTHS = ("COLUMNS", "LINES")
_NO_COMPILER = "NUMBA_DISABLE_JIT"
# A run has a few descriptors a process and segment; libraries abort where there are none.
_FEWEST_FILES, _LEAST_FILES, _FILES = 64, 256, 4096


def mend() -> list[str]:
    """Changes this process's surroundings, which its children inherit; returns a line for each change to be told."""
    for name in _WIDTHS:
        if os.environ.get(name, "1") == "0":  # as a terminal without a size says: nothing would be printed
            del os.environ[name]
    _raise_file_limit()
    _keep_warnings_from_raising()
    if os.environ.get(_NO_COMPILER, "0") in ("", "0") or "numba" in sys.modules:
        return []
    return [f"{_NO_COMPILER}={os.environ.pop(_NO_COMPILER)} is ignored: mzpipe's kernels must be compiled"]


def refuse_few_files() -> None:
    """Raises PlanError where the system allows too few open files for a run, after `mend`."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < _FEWEST_FILES:
        raise PlanError(f"ulimit -n: {limit} open files are allowed, a run needs at least {_FEWEST_FILES}: raise it")


def _raise_file_limit() -> None:
    """Raises the limit of open files as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _LEAST_FILES:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (_FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES), hard)
        )


def _keep_warnings_from_raising() -> None:
    """PYTHONWARNINGS=error would end a command by a library's warning: it shows them instead."""
    given = os.environ.get("PYTHONWARNINGS", "").split(",")
    kept = ["default" + each.removeprefix("error") if each.startswith("error") else each for each in given]
    if kept != given:
        os.environ["PYTHONWARNINGS"] = ",".join(kept)
        mended = [("default", *each[1:]) if each[0] == "error" else each for each in warnings.filters]
        warnings.filters[:] = mended  # type: ignore[index]
