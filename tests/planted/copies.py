"""A copy of the project to plant bugs in, with the compiled kernels that a bug cannot change.

Numba compares a cached kernel with the file in which it stands, but a kernel holds code and constants of other files
too. Hence every planted copy has a cache of its own, as in mzpipe.runtime.environment. It shares the kernels of those
modules that do not import the planted one, directly or by way of others.

The tests of search and targets run with the JIT off, as `make test` also runs them: to compile the search anew for each
of its bugs would take longer.
"""

import ast
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .bug import ROOT, Bug
from .forks import Outcome, run_pytest

_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
_NOT_COPIED_FROM_ROOT = {"runs", "build", "dist"}
_WHERE = "from mzpipe.runtime.environment import kernel_cache; print(kernel_cache())"
_PURE = ("search", "targets")


class Copy:
    """The project in a temporary folder, with caches of its own."""

    def __init__(self, folder: Path) -> None:
        self._root, self._former, cache = folder / "project", folder / "former.py", folder / "cache"
        shutil.copytree(ROOT, self._root, ignore=_left_out)
        (cache / "mzpipe").mkdir(mode=0o700, parents=True)
        former = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mzpipe"
        for library in former.glob("stand-in-gpu-*.so"):
            (cache / "mzpipe" / library.name).symlink_to(library)
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(self._root)}
        self._environment.pop("NUMBA_CACHE_DIR", None)
        self._clean_cache = self._kernel_cache()

    def run(self, *words: str, interpreted: bool = False) -> Outcome:
        """Runs pytest in the copy."""
        words = (*words, "-m", "not jit") if interpreted else words
        return run_pytest(self._root, {**self._environment, "NUMBA_DISABLE_JIT": str(int(interpreted))}, *words)

    def run_planted(self, bug: Bug, *words: str) -> Outcome:
        """Runs pytest on the bug's modules while the bug is in the copy."""
        planted = self._root / "mzpipe" / bug.file
        shutil.copy2(planted, self._former)
        planted.write_text(bug.planted(planted.read_text()))
        cache, others = self._kernel_cache(), _Others(self._root / "mzpipe", bug.file)
        try:
            others.share(self._clean_cache, cache)
            outcome = self.run(*words, *bug.paths(), interpreted=is_pure(bug))
            others.share(cache, self._clean_cache)
        finally:
            shutil.copy2(self._former, planted)  # with its time, by which Numba knows it
            shutil.rmtree(cache, ignore_errors=True)
        return outcome

    def _kernel_cache(self) -> Path:
        words = [sys.executable, "-c", _WHERE]
        found = subprocess.run(words, cwd=self._root, env=self._environment, capture_output=True, text=True, check=True)
        return Path(found.stdout.strip())


@contextmanager
def copy() -> Iterator[Copy]:
    """A copy that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="mzpipe-planted-") as folder:
        yield Copy(Path(folder))


def is_pure(bug: Bug) -> bool:
    """Whether the bug's tests run with the JIT off."""
    return all(name.partition("/")[0] in _PURE for name in (bug.file, *bug.modules))


class _Others:
    """The compiled kernels of the modules that a planted file cannot change."""

    def __init__(self, package: Path, file: str) -> None:
        self._changed = tuple(path.removesuffix(".py") for path in importers(package, file))

    def share(self, source: Path, target: Path) -> None:
        """Links those that only the source has into the target."""
        for kernel in source.glob("*/*.nb[ic]"):
            package, module = kernel.parent.name.rpartition("_")[0], kernel.name.partition(".")[0]
            there = target / kernel.parent.name / kernel.name
            if not any(each.endswith(f"{package}/{module}") for each in self._changed) and not there.exists():
                there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.link(kernel, there)


def _left_out(folder: str, names: list[str]) -> set[str]:
    return _NOT_COPIED(folder, names) | (_NOT_COPIED_FROM_ROOT if Path(folder) == ROOT else set())


def importers(package: Path, file: str) -> set[str]:
    """The file, and every other one that imports it or one of its importers; all are named from the package on."""
    imports, found = _all_imports(package), {file}
    while grown := {each for each, names in imports.items() if each not in found and names & found}:
        found |= grown
    return {f"{package.name}/{each}" for each in found}


@functools.cache  # no bug changes an import
def _all_imports(package: Path) -> dict[str, set[str]]:
    return {str(path.relative_to(package)): _imports(package, path) for path in package.rglob("*.py")}


def _imports(package: Path, path: Path) -> set[str]:
    """Files of the package that a module imports by a relative import, its own package among them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            places = [home, *(home / alias.name for alias in node.names)]
            files = [each for place in places for each in (place.with_suffix(".py"), place / "__init__.py")]
            found |= {str(each.relative_to(package)) for each in files if each.exists()}
    return found
