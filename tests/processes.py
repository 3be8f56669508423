"""What /proc tells of processes and threads; each may end between being listed and being looked at."""

import contextlib
import os
from pathlib import Path

_STATE, _PARENT = 0, 1


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    status = _status(pid)
    return bool(status) and status[_STATE] != "Z"


def exists(pid: int) -> bool:
    """Whether it is there, be it as a zombie that nobody has waited for."""
    return bool(_status(pid))


def command_line(pid: int) -> list[str]:
    """The words of its command line; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def descendants(pid: int) -> set[int]:
    """`pid` and every process that it has started, directly or not."""
    status_of = {child: _status(child) for child in processes()}
    parents = {child: int(status[_PARENT]) for child, status in status_of.items() if status}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def holders(path: str | os.PathLike) -> set[int]:
    """Pids of the processes that have the file open."""
    path = os.path.realpath(path)
    return {pid for pid in processes() if path in _open_files(pid)}


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def processes() -> list[int]:
    """Every pid there is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def threads() -> set[int]:
    """Those of this process; a joined one stands among them a moment longer."""
    return {int(name) for name in os.listdir("/proc/self/task")}


def _status(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
