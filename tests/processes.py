"""Processes and threads as psutil sees them; each may end after it is listed and before it is looked at."""

import contextlib
import os

import psutil


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    return status(pid) not in (None, psutil.STATUS_ZOMBIE)


def status(pid: int) -> str | None:
    """How psutil calls what a process does; None when it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status()
    return None


def command_line(pid: int) -> list[str]:
    """The words of a process's command line; none when it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).cmdline()
    return []


def descendants(pid: int) -> set[int]:
    """`pid` and every process that it has started, directly or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return {pid} | {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return {pid}


def holders(path: str | os.PathLike) -> set[int]:
    """Pids of the processes that have the file open; psutil lists regular files only, and this may be a pipe."""
    path = os.path.realpath(path)
    return {pid for pid in psutil.pids() if path in _open_files(pid)}


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def threads() -> set[int]:
    """The threads of this process; a joined one is listed a moment longer."""
    return {thread.id for thread in psutil.Process().threads()}
