"""Fixtures of the supervisor's tests: a private place for runtime directories, and a guard over the real one."""

import pytest

from mzpipe.runs import directory as run_directory
from tests.leftovers import runtime_directories, unexplained
from tests.tiny import make_plane, tiny_profile


@pytest.fixture(autouse=True)
def nothing_left():
    before = runtime_directories()
    yield
    assert unexplained(before) == set()


@pytest.fixture
def shared_memory(tmp_path, monkeypatch):
    """A directory that stands for /dev/shm, so that no other run on this machine meets these."""
    path = tmp_path / "shm"
    path.mkdir()
    monkeypatch.setattr(run_directory, "SHARED_MEMORY", path)
    return path


@pytest.fixture
def profile():
    return tiny_profile()


@pytest.fixture
def plane(tmp_path, profile):
    (tmp_path / "plane").mkdir()
    return make_plane(tmp_path / "plane", profile)
