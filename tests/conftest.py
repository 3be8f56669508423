"""The environment of every test, and fixtures for tests that share memory between processes."""

import os
import shutil
import tempfile
from pathlib import Path

import numba
import pytest

from mzpipe.runtime.environment import prepare_environment

# Numba validates a cached kernel by its own file alone; the cache of the runs is named by all sources. A plugin may
# have loaded numba already, which then has read the environment.
prepare_environment()
numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


@pytest.fixture
def shm_path():
    """A private directory under /dev/shm, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mzpipe-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)
