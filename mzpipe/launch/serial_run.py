"""A whole run in one process: `train --serial`, as a chain of sessions from border to border."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import ExitCode, InputOutputError
from ..ipc.dataplane import DataPlane
from ..ipc.messages import CheckpointSaved, Evaluated, Message, Note, SaveCheckpoint
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runs.border import Border, keep_border
from ..runs.directory import LiveRun, RunDirectory
from ..telemetry import View
from ..telemetry.reports import Reached, Reports
from .plan import Plan
from .serial import SerialPipeline
from .signals import Outcome, SignalPipe, signal_outcome, solved

if TYPE_CHECKING:  # a process that starts a run loads no role
    from ..replay.server import ReplayServer

_LAPS_BETWEEN_REPORTS = 64
# No terminal waits for a serial run to end within seconds.
_JOURNAL_S = 60.0


# What outlives a border: counts for people, which nothing that is learnt depends on.
KEPT_SEGMENTS = ("counters", "stages", "errors")


def run_serial(
    plan: Plan, run: RunDirectory, live: LiveRun, view: View, signals: SignalPipe, reached: Reached
) -> Outcome:
    """Steps every agent in turn until a stop condition is met or a signal comes; saves, and returns how it ended."""
    plane = DataPlane.create(Path(live.runtime_directory), plan.shape)
    reports = Reports(plan.profile, plane, run, view, reached)
    try:
        while True:
            outcome = _SerialSession(plan, run, plane, reports, view, signals).run()
            if outcome is not None:
                return outcome
            gc.collect()  # agents and their models refer to one another
            plane.clear(keep=KEPT_SEGMENTS)
    finally:
        reports.close()


class _SerialSession:
    """The agents from one border to the next, or to the end of the run."""

    def __init__(
        self, plan: Plan, run: RunDirectory, plane: DataPlane, reports: Reports, view: View, signals: SignalPipe
    ) -> None:
        self._plan, self._run, self._plane = plan, run, plane
        self._reports, self._view, self._signals = reports, view, signals
        self._pipeline = SerialPipeline(plan.profile, plane, run.storage, plan.devices)
        self._has_borders = plan.profile.replay.journal and not plan.profile.replay.source

    def run(self) -> Outcome | None:
        """How the run ended; None at a border."""
        border = outcome = None
        try:
            self._pipeline.start()
            while outcome is None and border is None:
                border, outcome = self._step()
            if border is None and self._save():
                border = self._border()
        finally:
            self._pipeline.close()
        if self._has_borders and border is not None:
            self._await_journal()
            keep_border(self._run, border)
        return outcome

    def _await_journal(self) -> None:
        """Until nothing writes to it any more."""
        replay = cast("ReplayServer", self._pipeline.agents[Member(Role.REPLAY, 0)])
        if not replay.close_journal(_JOURNAL_S):
            raise InputOutputError(
                f"{self._run.journal}: the disk has not taken it within {_JOURNAL_S:g} s: "
                "free the disk, or train without a journal: --set replay.journal=false"
            )

    def _step(self) -> tuple[Border | None, Outcome | None]:
        """Laps up to the next report, or to the checkpoint that makes a border."""
        border = outcome = None
        for _ in range(_LAPS_BETWEEN_REPORTS):
            self._pipeline.lap()
            messages = self._pipeline.receive()
            outcome = self._take(messages) or outcome
            if self._has_borders and any(isinstance(message, CheckpointSaved) for _, message in messages):
                border = self._border()
                self._pipeline.finish_evaluation()  # however long it takes, else none would ever come to its end
                outcome = self._take(self._pipeline.receive()) or outcome
                break
        outcome = outcome or signal_outcome(self._signals)
        self._reports.tick(lambda: None)
        limit = self._reports.limit_reached()
        if limit is not None:
            outcome = outcome or Outcome(ExitCode.FINISHED, limit)
        return border, outcome

    def _take(self, messages: list[tuple[Member, Message]]) -> Outcome | None:
        outcome = None
        for member, message in messages:
            if isinstance(message, Note):
                self._view.line(f"{member.identity}: {message.text}")
            if isinstance(message, Evaluated):
                self._reports.evaluation(message)
                outcome = outcome or solved(self._plan.profile, message)
        return outcome

    def _border(self) -> Border:
        env_steps = self._plane.total(Role.ACTOR, "env_steps")
        return Border(self._plane.total(Role.LEARNER, "learner_steps"), env_steps)

    def _save(self) -> bool:
        """Has the learner save at once, without another step of training; whether it did."""
        self._pipeline.agents[Member(Role.LEARNER, 0)].on_message(SaveCheckpoint(request_id=1))
        messages = self._pipeline.receive()
        self._take(messages)
        return any(isinstance(message, CheckpointSaved) for _, message in messages)
