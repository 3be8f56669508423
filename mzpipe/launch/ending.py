"""The end of a run: how long the supervisor waits for the last checkpoint, and what a stop could not save."""

import time
from collections.abc import Callable

import psutil

from ..errors import ExitCode
from ..ipc.messages import Failed, NotSaved
from .signals import Outcome

# A checkpoint takes at most this long, unless the learner is in a long call: it compiles, or its batch is huge.
CHECKPOINT_S = 4.0
# A learner that does nothing for this long is no longer waited for.
STILL_S = 5.0
# Nobody waits longer than this, even for a learner that works.
LONGEST_CALL_S = 1800.0


class Ending:
    """Gathers what is lost while a run stops for `cause`: a fault takes the place of a good outcome, or of a signal's.

    The cause of a run that has failed stays the first one.
    """

    def __init__(self) -> None:
        self.cause = Outcome(ExitCode.FINISHED, "")
        self._faults: list[tuple[ExitCode, str]] = []
        self._remarks: list[str] = []

    def fault(self, exit_code: int, what: str) -> None:
        """Records that a part of the run's state is lost."""
        self._faults.append((ExitCode(exit_code), what))

    def not_saved(self, failed: Failed | NotSaved | None) -> None:
        """Records that the learner could not save, or ended before, unless that is the cause."""
        code, why = (failed.exit_code, failed.summary) if failed else (ExitCode.INTERNAL, "the learner is dead")
        if not self.cause.has_failed:
            self.fault(code, f"no checkpoint is saved: {why}")

    def not_begun(self, *, is_saved: bool) -> None:
        """Records that the learner had not begun, so that there is nothing new to save."""
        what = f"the learner had not begun: {'the latest checkpoint stays as it was' if is_saved else 'no checkpoint'}"
        if self.cause.exit_code == ExitCode.FINISHED and not is_saved:
            self.fault(ExitCode.INPUT_OUTPUT, what)
        else:
            self._remarks.append(what)

    def given_up(self, hurried: Outcome | None) -> None:
        """Records that the learner is no longer waited for: a second signal has come, or it stands still."""
        if hurried is None:
            self.fault(ExitCode.INTERNAL, f"no checkpoint is saved: the learner has stood still for {STILL_S:.0f} s")
        else:
            self.fault(hurried.exit_code, "no checkpoint is saved: a second signal has come")

    def outcome(self) -> Outcome:
        """How the run ended."""
        words = [self.cause.reason, *(what for _, what in self._faults), *self._remarks]
        code = self._faults[0][0] if self._faults and not self.cause.has_failed else self.cause.exit_code
        return Outcome(code, "; ".join(words), self.cause.traceback)


class Patience:
    """How long to wait for a process: up to CHECKPOINT_S, then while it, or a process that it started, works."""

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid, self._clock, self._start_s = pid, clock, clock()
        self._used_s, self._is_said = processor_s(pid), False
        self.deadline_s = self._start_s + CHECKPOINT_S

    def say_once(self, tell: Callable[[str], None], *, again: str) -> None:
        """Tells what is waited for, at the first call."""
        if not self._is_said:
            tell(f"the learner is in a long call: waiting for its checkpoint; Ctrl-C {again} ends the run without it")
        self._is_said = True

    def extend(self) -> bool:
        """Sets a later deadline; returns False if the process has not worked since the last one was set."""
        former_s, used_s = self._used_s, processor_s(self._pid)
        self._used_s = used_s
        if used_s is None or used_s == former_s or self._clock() - self._start_s > LONGEST_CALL_S:
            return False
        self.deadline_s = self._clock() + STILL_S
        return True


def processor_s(pid: int) -> float | None:
    """Processor time of a process and of those that it started; None if it is gone.

    The clock's time while it waits for a disk: it goes on when the disk does.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_DISK_SLEEP:
            return time.monotonic()
        return sum(sum(each.cpu_times()[:4]) for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return None
