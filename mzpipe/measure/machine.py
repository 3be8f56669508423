"""The origin of measurements: the host, the commit, and a single core to measure on."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

UNKNOWN = "unknown"
_CPU_INFO = Path("/proc/cpuinfo")  # psutil does not tell the model
_SOURCES = Path(__file__).resolve().parents[1]


class Origin(NamedTuple):
    """The host and commit that measurements come from."""

    # CPU model and cores.
    host: str
    # Short git hash, with '+changes' if the tree differs from it.
    commit: str


def here() -> Origin:
    """This machine, and the current commit of this package."""
    return Origin(host(), commit())


def host() -> str:
    """CPU model and number of cores, as in 'AMD EPYC 7763, 8 cores'."""
    return f"{_cpu_model()}, {os.cpu_count()} cores"


def commit(directory: Path = _SOURCES) -> str:
    """Short hash of the commit `directory` is at, with '+changes' if files differ from it; 'unknown' outside git."""
    short_hash = _git(directory, "rev-parse", "--short", "HEAD")
    if not short_hash:
        return UNKNOWN
    return f"{short_hash}+changes" if _git(directory, "status", "--porcelain") else short_hash


@contextmanager
def one_core() -> Iterator[int]:
    """Pins every thread of this process, also those that start later, to one core; restores them at the end."""
    before = _cores_of_threads()
    core = max(os.sched_getaffinity(0))
    try:
        # Repeats for threads that were started by a thread before it was pinned.
        while elsewhere := [thread for thread, cores in _cores_of_threads().items() if cores != {core}]:
            _pin({thread: {core} for thread in elsewhere})
        yield core
    finally:
        _pin(before)
        released = set(before)
        while started := set(_threads()) - released:
            _pin(dict.fromkeys(started, before[os.getpid()]))
            released |= started


def _threads() -> list[int]:
    return [thread.id for thread in psutil.Process().threads()]


def _cores_of_threads() -> dict[int, set[int]]:
    cores_of = {}
    for thread in _threads():
        with suppress(ProcessLookupError):  # it has ended since it was listed
            cores_of[thread] = os.sched_getaffinity(thread)
    return cores_of


def _pin(cores_of: dict[int, set[int]]) -> None:
    for thread, cores in cores_of.items():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)


def _cpu_model() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine() or UNKNOWN)


def _git(directory: Path, *words: str) -> str:
    """The output of a git command; empty if it fails."""
    command = ["git", "-C", str(directory), *words]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10.0)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
