"""On a machine that mzpipe does not run on, a command is one line and a script one error."""

import subprocess
import sys
from pathlib import Path

import pytest

from mzpipe import supported
from mzpipe.errors import ExitCode, UsageError

ROOT = Path(__file__).parents[1]
# Makes Python look like that of another system, which lacks what only Unix has.
ELSEWHERE = """
import platform, runpy, sys
sys.platform, platform.machine = {system!r}, lambda: "arm64"
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
"""
SYSTEMS = {"darwin": "macOS on arm64", "win32": "Windows on arm64", "freebsd14": "freebsd14 on arm64"}


def elsewhere(system, code):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.format(system=system) + code], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "start",
    ["runpy.run_module('mzpipe', run_name='__main__')", f"runpy.run_path('{ROOT}/bin/mzpipe', run_name='__main__')"],
)
def test_command_ends_with_one_line_on_another_system(system, start):
    code, out, err = elsewhere(system, f"sys.argv = ['mzpipe', 'train', 'cartpole']\n{start}")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith("mzpipe: mzpipe runs on little-endian Linux on x86_64 and aarch64; this is ")
    assert SYSTEMS[system] in err and len(err.splitlines()) == 1


def test_script_is_refused_on_another_system_before_anything_is_missing():
    code, _, err = elsewhere("darwin", "import mzpipe\nmzpipe.train('cartpole')")
    assert code == 1
    assert err.splitlines()[-1].startswith("mzpipe.errors.UsageError: mzpipe runs on little-endian Linux")


def test_search_settings_are_made_on_another_system():
    assert elsewhere("darwin", "import mzpipe.config.search as s; print(s.SearchConfig().discount)")[1] == "0.997\n"


@pytest.mark.parametrize(
    ("owner", "name", "value", "text"),
    [
        (supported.platform, "machine", lambda: "riscv64", "this is linux on riscv64"),
        (supported.sys, "byteorder", "big", "little-endian Linux"),
        (supported.sys, "version_info", (3, 10, 4), "mzpipe needs Python 3.11 or newer; this is 3."),
    ],
)
def test_machine_is_refused_when_it_cannot_run_mzpipe(monkeypatch, owner, name, value, text):
    supported.refuse_others()
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(UsageError, match=text):
        supported.refuse_others()
