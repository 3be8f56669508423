"""Kernels kept on disk: found again by a new process, and never used once any source of the search has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mzpipe

# An entry of its own: compiling takes seconds, and this entry needs no more than what puct.py holds.
PROBE = """
import numpy as np

from .compiled import entry
from .puct import sibling_normalization
from .records import EDGE


@entry
def probe(edges_N, first_child, value):
    return sibling_normalization(edges_N, first_child, value, np.float32(0.5))


def main():
    _, scale, _, _ = probe(np.zeros(1, EDGE), np.uint16(0xFFFF), np.float32(0.0))
    print(round(float(scale)), sum(probe.stats.cache_hits.values()))
"""


@pytest.fixture
def library(tmp_path) -> Path:
    """A copy of what `mzpipe.search` imports, with the probe in it."""
    source, package = Path(mzpipe.__file__).parent, tmp_path / "mzpipe"
    package.mkdir()
    for name in ("__init__.py", "errors.py"):
        shutil.copy(source / name, package)
    for name in ("config", "search"):
        shutil.copytree(source / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "search" / "probe.py").write_text(PROBE)
    return tmp_path


def scale_and_hits(library: Path, cache: dict[str, str]) -> list[str]:
    """The probe's answer in a new process, and how many kernels it found compiled."""
    found = subprocess.run(
        [sys.executable, "-c", "from mzpipe.search.probe import main; main()"],
        cwd=library,
        env={name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | cache,
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    return found.stdout.split()


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("given", [False, True], ids=["beside the sources", "in a directory of its own"])
def test_kernels_are_compiled_again_when_another_module_has_changed(library, given):
    cache = {"NUMBA_CACHE_DIR": str(library / "kernels")} if given else {}
    assert scale_and_hits(library, cache) == ["2", "0"]
    assert scale_and_hits(library, cache) == ["2", "1"]
    puct = library / "mzpipe" / "search" / "puct.py"
    text = puct.read_text()
    assert "return low, _ONE / " in text
    puct.write_text(text.replace("return low, _ONE / ", "return low, np.float32(3.0) / "))
    assert scale_and_hits(library, cache) == ["6", "0"]
