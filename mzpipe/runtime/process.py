"""Birth and death of child processes: spawn by exec, notice death, never outlive the supervisor."""

import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from ..errors import ExitCode, InputOutputError

_PR_SET_PDEATHSIG = 1
# Among the fields of /proc/PID/stat after the name: clock ticks from the machine's start to the process's.
_START_TICKS = 19
DEATH_PIPE = "death"
# Has a role write the stack of every thread to its log.
STACK_SIGNAL = signal.SIGUSR1
# Signals from the terminal; only the supervisor acts on them, and it stops the roles in order.
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


@dataclass(frozen=True)
class Child:
    """A started process and the descriptor that becomes readable when it ends."""

    process: subprocess.Popen[bytes]
    pidfd: int

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def reap(self) -> int:
        """Exit code (negative: killed by that signal); call when the pidfd is readable.

        Kills what is left of its process group: children of a game that were not closed, for example.
        """
        if self.process.returncode is None:
            # While it waits to be reaped, its pid, which names the group, can belong to no one else.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(ProcessLookupError):  # it was started without a group of its own
                os.killpg(self.pid, signal.SIGKILL)
        return self.process.wait()

    def was_killed(self) -> bool:
        """Whether a signal ended it; call when the pidfd is readable, before `reap`."""
        ended = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is not None and ended.si_code != os.CLD_EXITED

    def signal(self, number: int) -> None:
        """Sends a signal to exactly this process, even if its pid was reused."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Closes the descriptor and the pipes to the process."""
        os.close(self.pidfd)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def spawn(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: IO[bytes],
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
) -> Child:
    """Starts `python -P -m arguments...` in its own process group, output to `log`; stdin and stdout as Popen has them.

    -P keeps the current directory off the module search path: a json.py that lies there is not ours to run.
    Call it from the main thread: PDEATHSIG follows the thread that started the child.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        env=dict(environment),
        stdin=stdin,
        stdout=log if stdout is None else stdout,
        stderr=log,
        process_group=0,
    )
    return Child(process, os.pidfd_open(process.pid))


def process_began_s() -> float:
    """When this process began, on the monotonic clock; a machine's sleep counts as if it were awake.

    psutil counts from a boot time in whole seconds.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return (
        int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
        + time.monotonic()
        - time.clock_gettime(time.CLOCK_BOOTTIME)
    )


def describe_exit(code: int | None) -> str:
    """An exit code or signal in words."""
    if code is None:
        return "ended"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def end_process(code: int) -> NoReturn:
    """Ends this process without the interpreter's tear-down, which takes half a second to a second with torch.

    It flushes stdout and stderr; atexit functions do not run.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a log on a full disk: the code still says how it ended
            stream.flush()
    os._exit(code)


def write_stacks_on_signal() -> None:
    """Has this process write its threads' stacks to stderr at every STACK_SIGNAL, whatever call it is stuck in."""
    faulthandler.register(STACK_SIGNAL, file=2, all_threads=True)


def make_death_pipe(directory: Path) -> int:
    """Creates the run's death pipe; returns the end that the supervisor holds as long as it lives."""
    path = directory / DEATH_PIPE
    os.mkfifo(path, 0o600)
    # Read-write, so that opening neither blocks nor fails while no role reads yet.
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def ignore_terminal() -> None:
    """Has this process ignore the signals of the terminal: whoever started it ends it in order."""
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)


def die_with_parent(parent_pid: int) -> None:
    """Has the kernel kill this process when the thread that started it ends, whatever call it is stuck in."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(ExitCode.TERMINATED)


def follow_supervisor(directory: Path, parent_pid: int | None) -> None:
    """Makes this process end as soon as the supervisor is gone; `parent_pid` is given if the supervisor started it.

    There are two ways to notice: the kernel's signal, and end of file on the death
    pipe. PDEATHSIG alone is not enough: it is lost when the parent changes, and a
    role that was started by hand does not have it.
    """
    ignore_terminal()
    if parent_pid is not None:
        die_with_parent(parent_pid)
    try:
        descriptor = os.open(directory / DEATH_PIPE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputOutputError(f"{directory / DEATH_PIPE}: the run is gone: {error.strerror}") from None
    if not _has_writer(descriptor):
        os.close(descriptor)
        raise InputOutputError(f"{directory / DEATH_PIPE}: the run is gone: its supervisor has ended")
    threading.Thread(target=_die_with_supervisor, args=(descriptor,), name="death-pipe", daemon=True).start()


def _has_writer(descriptor: int) -> bool:
    """Whether the supervisor still holds the pipe; if it closed the pipe before we opened it, POLLHUP never comes."""
    try:
        return os.read(descriptor, 1) != b""
    except BlockingIOError:
        return True


def _die_with_supervisor(descriptor: int) -> None:
    poller = select.poll()
    poller.register(descriptor, 0)  # POLLHUP is always reported
    poller.poll()
    os._exit(ExitCode.TERMINATED)
