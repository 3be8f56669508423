"""Fixtures of the command line's tests."""

import os
from unittest import mock

import pytest

from mzpipe.runs import directory as run_directory


@pytest.fixture(autouse=True)
def private_machine(tmp_path, monkeypatch):
    """Gives the test its own environment, kernel cache and /dev/shm, which a command may change."""
    (tmp_path / "shm").mkdir()
    monkeypatch.setattr(run_directory, "SHARED_MEMORY", tmp_path / "shm")
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        yield


@pytest.fixture
def profile(tmp_path, request):
    """A file with the PROFILE of the test's module."""
    path = tmp_path / "tiny.toml"
    path.write_text(request.module.PROFILE)
    return path
