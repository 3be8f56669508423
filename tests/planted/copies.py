"""A copy of the project to plant bugs in, with the compiled kernels that a bug cannot change.

Numba compares a cached kernel with the file in which it stands, but a kernel holds code and constants of other files
too. Hence every planted copy has a cache of its own, as in mzpipe.runtime.environment, which begins with the kernels of
those modules that do not import the planted one, directly or by way of others.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .bug import ROOT, Bug

_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
_NOT_COPIED_FROM_ROOT = {"runs", "build", "dist"}
_WHERE = "from mzpipe.runtime.environment import kernel_cache; print(kernel_cache())"


class Copy:
    """The project in a temporary folder, with caches of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, cache = folder / "project", folder / "cache"
        shutil.copytree(ROOT, self.root, ignore=_left_out)
        (cache / "mzpipe").mkdir(mode=0o700, parents=True)
        former = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mzpipe"
        for library in former.glob("stand-in-gpu-*.so"):
            (cache / "mzpipe" / library.name).symlink_to(library)
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(self.root)}
        self._environment.pop("NUMBA_CACHE_DIR", None)
        self._clean_cache = self._kernel_cache()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a Python program in the copy."""
        return subprocess.run(
            [sys.executable, *words], cwd=self.root, env=self._environment, capture_output=True, text=True
        )

    @contextmanager
    def planted(self, bug: Bug) -> Iterator[None]:
        """The bug is in the copy inside this context."""
        bug.plant(self.root)
        cache = self._kernel_cache()
        self._share_kernels(cache, bug.file)
        try:
            yield
        finally:
            shutil.copy2(ROOT / "mzpipe" / bug.file, self.root / "mzpipe" / bug.file)
            shutil.rmtree(cache)

    def _kernel_cache(self) -> Path:
        return Path(self.run("-c", _WHERE).stdout.strip())

    def _share_kernels(self, cache: Path, file: str) -> None:
        cache.mkdir(mode=0o700)
        changed = {path.removesuffix(".py") for path in importers(self.root / "mzpipe", file)}
        for kernel in self._clean_cache.glob("*/*.nb[ic]"):
            package, module = kernel.parent.name.rpartition("_")[0], kernel.name.partition(".")[0]
            if not any(each.endswith(f"{package}/{module}") for each in changed):
                (cache / kernel.parent.name).mkdir(exist_ok=True)
                os.link(kernel, cache / kernel.parent.name / kernel.name)


@contextmanager
def copy() -> Iterator[Copy]:
    """A copy that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="mzpipe-planted-") as folder:
        yield Copy(Path(folder))


def _left_out(folder: str, names: list[str]) -> set[str]:
    return _NOT_COPIED(folder, names) | (_NOT_COPIED_FROM_ROOT if Path(folder) == ROOT else set())


def importers(package: Path, file: str) -> set[str]:
    """The file, and every other one that imports it or one of its importers; all are named from the package on."""
    imports = {str(path.relative_to(package)): _imports(package, path) for path in package.rglob("*.py")}
    found = {file}
    while grown := {each for each, names in imports.items() if each not in found and names & found}:
        found |= grown
    return {f"{package.name}/{each}" for each in found}


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
