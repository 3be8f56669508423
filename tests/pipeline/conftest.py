"""No test of real runs leaves a process, or anything in /dev/shm."""

import os
import shutil

import pytest

from tests.leftovers import SHARED_MEMORY
from tests.pipeline.driver import PROFILE, Run, clean
from tests.processes import alive
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def guarded(nothing_left):
    """Guards every test."""


@pytest.fixture
def profile(tmp_path):
    """The tiny profile as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture
def start(tmp_path):
    """Starts runs; afterwards kills those that still live and removes what a killed one left."""
    runs = []

    def start_run(*overrides, name="run", **options):
        runs.append(Run(tmp_path / name, *overrides, **options))
        return runs[-1]

    yield start_run
    for run in runs:
        if run.process.poll() is None:
            run.kill()
        wait_until(lambda run=run: not any(alive(pid) for pid in run.seen), 5.0, "every role process gone")
    if runs:
        clean(tmp_path)


@pytest.fixture
def foreign_directories():
    """A directory of a live run, and one of another name; neither is ours to remove."""
    import fcntl

    live = SHARED_MEMORY / f"mzpipe-{os.getuid()}-live-test-{os.getpid()}"
    other = SHARED_MEMORY / f"mzpipe-someone-else-{os.getpid()}"
    for path in (live, other):
        path.mkdir(mode=0o700)
        (path / "segment").write_bytes(b"x")
    lock = os.open(live / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield live, other
    os.close(lock)
    for path in (live, other):
        shutil.rmtree(path)
