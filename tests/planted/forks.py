"""pytest in forks of this process, which has loaded the large libraries once: they take longer than most tests."""

import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from .bug import ROOT

# No mzpipe module: each fork loads those of its own copy.
_LIBRARIES = ("numpy", "numba", "torch", "hypothesis", "pytest", "gymnasium", "pydantic", "zmq", "safetensors.numpy")
_LOADED_BEFORE = "ignore:Module already imported so cannot be rewritten"
_OPTIONS = (
    *("-q", "-n", "0", "-p", "no:cacheprovider", "-rfE", "-W", _LOADED_BEFORE),
    "--hypothesis-profile=unshrunk",
)


class Outcome(NamedTuple):
    """The exit code of a pytest, and what it wrote."""

    code: int
    output: str


def load_libraries() -> None:
    """Loads what most tests need."""
    for name in _LIBRARIES:
        import_module(name)


def run_pytest(root: Path, environment: Mapping[str, str], *words: str) -> Outcome:
    """Runs pytest on the project at `root`."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            _become_pytest(root, environment, words, output.fileno())
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return Outcome(os.waitstatus_to_exitcode(status), output.read().decode(errors="replace"))


def _become_pytest(root: Path, environment: Mapping[str, str], words: tuple[str, ...], output: int) -> None:
    """Never returns."""
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.chdir(root)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = [str(root), *(entry for entry in sys.path if entry and Path(entry) != ROOT)]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("mzpipe", "tests")]:
            del sys.modules[name]
        import_module("numba").config.DISABLE_JIT = int(environment.get("NUMBA_DISABLE_JIT", "0"))
        code = int(import_module("pytest").main([*_OPTIONS, *words]))
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
