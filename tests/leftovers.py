"""Finds what a test has left in /dev/shm and among the temporary files; runs of other people on the same machine do not
count."""

import os
import tempfile
import time
from pathlib import Path

from mzpipe.runs.directory import runtime_prefix
from tests.processes import descendants, holders

SHARED_MEMORY = Path("/dev/shm")
# Another session's killed run lies there until that session sweeps it.
_PATIENCE_S = 20.0


def runtime_directories() -> set[Path]:
    """This user's runtime directories, of every run, and the scratch directories of this worker's tests."""
    scratch = Path(tempfile.gettempdir()).glob(f"mzpipe-*-{os.getuid()}-*")
    return {*SHARED_MEMORY.glob(f"{runtime_prefix()}*"), *scratch}


def unexplained(before: set[Path]) -> set[Path]:
    """Such directories that are not in `before` and that no living process outside this session holds."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        left = {path for path in runtime_directories() - before if not held_by_a_stranger(path)}
        if not left or time.monotonic() > deadline_s:
            return left
        time.sleep(0.05)


def held_by_a_stranger(path: Path) -> bool:
    """Whether a process that does not descend from this one has the directory's lock open."""
    return bool(holders(path / "lock") - descendants(os.getpid()))
