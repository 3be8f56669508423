"""How a run ended."""

import signal
from dataclasses import dataclass

from ..config import Profile
from ..errors import ExitCode
from ..ipc.messages import Evaluated
from .signals import SignalPipe


@dataclass(frozen=True)
class Outcome:
    """Exit code, reason in one line, and the first traceback of a failure."""

    exit_code: ExitCode
    reason: str
    traceback: str = ""


def signal_outcome(signals: SignalPipe, effect: str = "draining and saving a checkpoint") -> Outcome | None:
    """The outcome of a run that a signal ends; None while none has come."""
    number = signals.first()
    if number is None:
        return None
    return Outcome(ExitCode.of_signal(number), f"{signal.Signals(number).name}: {effect}")


def solved(profile: Profile, evaluation: Evaluated) -> Outcome | None:
    """The outcome of a run whose evaluation reached stop.return_mean; None while it did not."""
    goal = profile.stop.return_mean
    if goal is None or evaluation.return_mean < goal:
        return None
    reason = f"solved: mean return {evaluation.return_mean:.1f} >= stop.return_mean={goal:g}"
    return Outcome(ExitCode.FINISHED, reason)
