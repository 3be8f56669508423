"""A command in a fork of this process, with a limit of time and of memory."""

import contextlib
import ctypes
import io
import mmap
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

import psutil

from tests.waiting import eventually

_MIB = 1 << 20
_PR_SET_PDEATHSIG = 1
# As of a Python program that ends with an exception.
_RAISED = 1


class Limits(NamedTuple):
    """What a command may take: of wall time, of a processor, and of memory beyond what this process has."""

    seconds: float = 120.0
    processor_seconds: int = 40
    bytes: int = 2048 * _MIB


class Done(NamedTuple):
    """What a command did; `code` is None if it took too long or worked too much, negative if a signal ended it."""

    code: int | None
    output: str
    errors: str
    seconds: float
    # Beyond what the fork had at its start.
    peak_bytes: int


def in_fork(function: Callable[[], int], limits: Limits) -> Done:
    """Calls the function in a process of its own; its result is the exit code."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        begun_s, at_start = time.monotonic(), mmap.mmap(-1, mmap.PAGESIZE)
        pid = os.fork()
        if pid == 0:
            _become(function, limits, at_start, output.fileno(), errors.fileno())
        status, usage = _wait(pid, limits.seconds)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        code = None if status is None else os.waitstatus_to_exitcode(status)
        code = None if code == -signal.SIGXCPU else code
        return Done(
            code, *texts, time.monotonic() - begun_s, max(0, usage.ru_maxrss * 1024 - int.from_bytes(at_start[:8]))
        )


def _wait(pid: int, limit_s: float) -> tuple[int | None, resource.struct_rusage]:
    """(status, usage) of a child; it is killed, with all that it started, and has no status, if it takes too long."""
    found: list[tuple[int, resource.struct_rusage]] = []

    def has_ended() -> bool:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            found.append((status, usage))
        return bool(done)

    in_time = eventually(has_ended, limit_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if in_time:
        return found[0]
    return None, os.wait4(pid, 0)[2]


def _become(function: Callable[[], int], limits: Limits, at_start: mmap.mmap, output: int, errors: int) -> None:
    """Writes the bytes that this process has at its start, and runs the function; never returns."""
    code, memory = _RAISED, psutil.Process().memory_info()
    at_start[:8] = memory.rss.to_bytes(8)
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # no hanging command outlives the drill
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(number, "w", closefd=False)) for number in (1, 2))
        resource.setrlimit(resource.RLIMIT_AS, (memory.vms + limits.bytes,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_seconds, limits.processor_seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = function()
    except SystemExit as end:  # argparse
        code = end.code if isinstance(end.code, int) else _RAISED
    finally:
        if sys.exc_info()[0] not in (None, SystemExit):
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
