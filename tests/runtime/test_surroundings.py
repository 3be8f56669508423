"""What a shell has left set does not end a command."""

import os
import resource
import subprocess
import sys
from contextlib import nullcontext

import pytest

from mzpipe.errors import PlanError
from mzpipe.runtime import surroundings as module


def run(code, **environment):
    """Runs code in a fresh interpreter, with these variables."""
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=250
    )


def test_a_terminal_without_a_size_gets_the_default_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setenv("LINES", "30")
    module.mend()
    assert ("COLUMNS" in os.environ, os.environ["LINES"]) == (False, "30")


@pytest.mark.parametrize(("limits", "raised"), [((20, 64), (64, 64)), ((20, 9000), (4096, 9000)), ((1024, 9000), None)])
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch, limits, raised):
    found = []
    monkeypatch.setattr(module.resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(module.resource, "setrlimit", lambda which, pair: found.append(pair))
    module.mend()
    assert found == ([] if raised is None else [raised])
    assert resource.RLIMIT_NOFILE == module.resource.RLIMIT_NOFILE


def test_warnings_are_shown_and_not_raised_though_the_shell_says_so():
    code = (
        "import os, warnings; from mzpipe.runtime.surroundings import mend; mend();"
        "warnings.warn('old'); print(os.environ['PYTHONWARNINGS'])"
    )
    done = run(code, PYTHONWARNINGS="error,ignore::ImportWarning")
    assert (done.returncode, done.stdout) == (0, "default,ignore::ImportWarning\n")
    assert "UserWarning: old" in done.stderr


def test_a_compiler_that_is_switched_off_is_switched_on_and_said_so():
    code = "from mzpipe.runtime.surroundings import mend; print(mend()); import numba; print(numba.config.DISABLE_JIT)"
    done = run(code, NUMBA_DISABLE_JIT="1")
    assert done.stdout == '["NUMBA_DISABLE_JIT=1 is ignored: mzpipe\'s kernels must be compiled"]\n0\n'


@pytest.mark.parametrize("limit", [63, 64])
def test_too_few_open_files_for_a_run_are_refused_in_one_line(limit, monkeypatch):
    monkeypatch.setattr(module.resource, "getrlimit", lambda kind: (limit, limit))
    with nullcontext() if limit == 64 else pytest.raises(PlanError, match=r"ulimit -n: 63 open files .* at least 64"):
        module.refuse_few_files()
