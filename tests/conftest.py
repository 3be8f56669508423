"""Fixtures for tests that share memory between processes."""

import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def shm_path():
    """A private directory under /dev/shm, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mzpipe-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)
