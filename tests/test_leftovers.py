"""The guard over /dev/shm is itself no use unless it can fail."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mzpipe.runs.directory import runtime_prefix
from tests import leftovers
from tests.leftovers import SHARED_MEMORY, held_by_a_stranger, runtime_directories, unexplained
from tests.processes import descendants, holders

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [(str(SHARED_MEMORY), runtime_prefix()), ("{temporary}", f"mzpipe-pod-{os.getuid()}-")],
)
def test_unexplained_finds_a_directory_that_a_test_left(folder, prefix, monkeypatch):
    monkeypatch.setattr(leftovers, "_PATIENCE_S", 0.0)
    before = runtime_directories()
    planted = Path(folder.format(temporary=tempfile.gettempdir())) / f"{prefix}planted-{os.getpid()}"
    planted.mkdir()
    try:
        assert planted in unexplained(before)
    finally:
        shutil.rmtree(planted, ignore_errors=True)
    assert planted not in unexplained(before)


def test_temporary_folder_is_this_workers_alone_and_its_childrens():
    code = "import tempfile; print(tempfile.gettempdir())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == tempfile.gettempdir()
    assert Path(tempfile.gettempdir()).name.startswith("mzt-")


def test_held_by_a_stranger_knows_this_session_from_others(tmp_path):
    lock = tmp_path / "lock"
    with lock.open("w"):
        assert os.getpid() in holders(lock)
        assert not held_by_a_stranger(tmp_path)
    assert holders(lock) == set()


def test_descendants_finds_the_children_of_children():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=sys.stdin)"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        while len(descendants(child.pid)) < 2:
            assert child.poll() is None
        assert descendants(child.pid) < descendants(os.getpid())
    finally:
        child.communicate(b"\n", timeout=30)
    assert descendants(child.pid) == {child.pid}
