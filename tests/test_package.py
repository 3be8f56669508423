"""The whole package: every module imports, nothing banned is in it, the supervisor stays small."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mzpipe

ROOT = Path(mzpipe.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
MODULES = [module.name for module in pkgutil.walk_packages(mzpipe.__path__, "mzpipe.")]


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_and_has_what_it_exports(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported)


def test_every_module_stands_in_a_package_so_that_it_is_installed_and_imported_here():
    assert {str(path.relative_to(ROOT.parent)) for path in SOURCES} == {
        str(Path(importlib.import_module(name).__file__).relative_to(ROOT.parent)) for name in ["mzpipe", *MODULES]
    }


@pytest.mark.parametrize(
    ("banned", "allowed_in"),
    [
        (r"\b(pickle|cloudpickle|marshal|shelve|recv_pyobj|send_pyobj)\b", ()),
        (r"torch\.load\(", ()),
        (r"allow_pickle", ()),
        (r"shell=True", ()),
        (r"(?<![\w.])eval\(", ()),
        (r"(?<![\w.])print\(", ()),
        (r"except:", ()),
        (r"time\.sleep\(", ("idle.py", "top.py")),  # `top` is a command that looks now and then, no process of a run
        (r"import \*", ()),
    ],
)
def test_package_has_nothing_banned(banned, allowed_in):
    found = [path for path in SOURCES if path.name not in allowed_in and re.search(banned, path.read_text())]
    assert found == []


def test_every_sync_point_has_both_halves_written_alike():
    halves = {}
    for path in SOURCES:
        for name, half in re.findall(r"# SYNC (\S+) (acquire|release): \S", path.read_text()):
            halves.setdefault(name, set()).add(half)
        assert path.read_text().count("# SYNC ") == len(
            re.findall(r"# SYNC \S+ (?:acquire|release): \S", path.read_text())
        )
    assert len(halves) >= 8
    assert {name for name, both in halves.items() if both != {"acquire", "release"}} == set()


def test_supervisor_never_loads_torch():
    code = "import sys, mzpipe.launch.train, mzpipe.cli.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_search_alone_loads_neither_torch_nor_sockets():
    code = "import sys, mzpipe.search, mzpipe.targets; sys.exit(bool({'torch', 'zmq', 'gymnasium'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
