"""What a test may have left in /dev/shm; runs of other people on the same machine do not count."""

import contextlib
import os
import time
from pathlib import Path

from mzpipe.launch.run_directory import runtime_prefix

SHARED_MEMORY = Path("/dev/shm")
# Another session's killed run lies there until that session sweeps it.
_PATIENCE_S = 20.0


def unexplained(before):
    """Runtime directories that are not in `before` and that no living process outside this session holds."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        new = set(SHARED_MEMORY.glob(f"{runtime_prefix()}*")) - before
        left = {path for path in new if not held_by_a_stranger(path)}
        if not left or time.monotonic() > deadline_s:
            return left
        time.sleep(0.05)


def held_by_a_stranger(path):
    """Whether a process that does not descend from this one has the directory's lock open."""
    return any(pid not in descendants(os.getpid()) for pid in holders(path / "lock"))


def holders(path):
    """Pids of the processes that have the file open."""
    found, path = set(), os.path.realpath(path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if any(os.readlink(f"/proc/{pid}/fd/{number}") == path for number in os.listdir(f"/proc/{pid}/fd")):
                found.add(int(pid))
    return found


def descendants(pid):
    """`pid` and every process that it has started, directly or not."""
    parents = {}
    for child in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            parents[int(child)] = int(status[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
