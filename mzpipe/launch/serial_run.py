"""A whole run in one process: `train --serial`."""

import signal
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from ..errors import ExitCode
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Evaluated, Note, NotSaved, SaveCheckpoint
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runs.directory import LiveRun, RunDirectory
from ..runtime.attended import AttendedClock
from ..telemetry import View
from ..telemetry.loggers import Loggers
from ..telemetry.reports import Reached, Reports
from .ending import Ending
from .plan import Plan
from .serial import SerialPipeline
from .signals import Outcome, PauseSignal, SignalPipe, Watch, signal_outcome, solved

_LAPS_BETWEEN_REPORTS = 64
_LEARNER = Member(Role.LEARNER, 0)


def run_serial(
    plan: Plan,
    run: RunDirectory,
    live: LiveRun,
    view: View,
    signals: SignalPipe,
    reached: Reached,
    watch: Watch | None = None,
    loggers: Loggers | None = None,
) -> Outcome:
    """Steps every agent in turn until a stop condition, a signal or the watch ends it.

    Saves a checkpoint, and returns how it ended.
    """
    plane, clock = DataPlane.create(Path(live.runtime_directory), plan.shape), AttendedClock()
    pause = PauseSignal(lambda: clock.leave(lambda: signal.raise_signal(signal.SIGSTOP)))
    with pause, closing(Reports(plan.profile, plane, run, view, reached, clock.now_s, loggers)) as reports:
        pipeline = SerialPipeline(plan.profile, plane, run.storage, plan.devices)
        with closing(
            _SerialRun(plan, pipeline, reports, view, signals, partial(watch, plane) if watch else None)
        ) as serial:
            return serial.run()


class _SerialRun:
    """A pipeline with its reports, and with the signals that end it."""

    def __init__(
        self,
        plan: Plan,
        pipeline: SerialPipeline,
        reports: Reports,
        view: View,
        signals: SignalPipe,
        watch: Callable[[], str | None] | None,
    ) -> None:
        self._plan, self._pipeline, self._reports, self._watch = plan, pipeline, reports, watch
        self._view, self._signals, self._ending = view, signals, Ending()

    def run(self) -> Outcome:
        """Runs everything from the first lap to the last checkpoint; returns how it ended."""
        self._pipeline.start()
        outcome = None
        while outcome is None:
            outcome = self._step()
        self._reports.stopping()
        self._pipeline.drain()
        self._pipeline.agents[_LEARNER].on_message(SaveCheckpoint(request_id=1))  # at once, without another step
        self._take_messages()
        self._ending.cause = outcome
        return self._ending.outcome()

    def close(self) -> None:
        """Closes the agents and shows their last messages."""
        self._pipeline.close()
        self._take_messages()

    def _step(self) -> Outcome | None:
        """Steps up to the next report; returns how the run ended, if it did."""
        outcome = None
        for _ in range(_LAPS_BETWEEN_REPORTS):
            self._pipeline.lap()
            outcome = self._take_messages() or outcome
        outcome = outcome or signal_outcome(self._signals)
        self._reports.tick(lambda: None)
        limit = self._reports.limit_reached() or (self._watch() if self._watch else None)
        return outcome or (Outcome(ExitCode.FINISHED, limit) if limit is not None else None)

    def _take_messages(self) -> Outcome | None:
        outcome = None
        for member, message in self._pipeline.receive():
            if isinstance(message, Note):
                self._view.line(f"{member.identity}: {message.text}")
            if isinstance(message, NotSaved):
                self._ending.not_saved(message)
            if isinstance(message, Evaluated):
                self._reports.evaluation(message)
                outcome = outcome or solved(self._plan.profile, message)
        return outcome
