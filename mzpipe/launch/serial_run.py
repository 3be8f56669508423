"""A whole run in one process: `train --serial`."""

from pathlib import Path

from ..errors import ExitCode
from ..ipc.dataplane import DataPlane, Member
from ..ipc.messages import Evaluated, Note, SaveCheckpoint
from ..telemetry import View
from .outcome import Outcome, signal_outcome, solved
from .plan import Plan
from .reports import Reports
from .run_directory import LiveRun, RunDirectory
from .serial import SerialPipeline
from .signals import SignalPipe
from .snapshots import Progress

_LAPS_BETWEEN_REPORTS = 64


def run_serial(
    plan: Plan, run: RunDirectory, live: LiveRun, view: View, signals: SignalPipe, progress: Progress
) -> Outcome:
    """Steps every agent in turn until a stop condition is met or a signal comes; saves, and returns how it ended."""
    plane = DataPlane.create(Path(live.runtime_directory), plan.shape)
    reports = Reports(plan.profile, plane, run, view, progress)
    pipeline = SerialPipeline(plan.profile, plane, run.storage, plan.devices)
    try:
        pipeline.start()
        outcome = None
        while outcome is None:
            for _ in range(_LAPS_BETWEEN_REPORTS):
                pipeline.lap()
            outcome = _take_messages(pipeline, plan, reports, view) or signal_outcome(signals)
            reports.tick(lambda: None)
            limit = reports.limit_reached()
            if limit is not None:
                outcome = outcome or Outcome(ExitCode.FINISHED, limit)
        _save(pipeline)
        return outcome
    finally:
        pipeline.close()
        reports.close()


def _take_messages(pipeline: SerialPipeline, plan: Plan, reports: Reports, view: View) -> Outcome | None:
    outcome = None
    for member, message in pipeline.receive():
        if isinstance(message, Note):
            view.line(f"{member.identity}: {message.text}")
        if isinstance(message, Evaluated):
            reports.evaluation(message)
            outcome = outcome or solved(plan.profile, message)
    return outcome


def _save(pipeline: SerialPipeline) -> None:
    """Has the learner save at once, without another step of training."""
    learner = Member("learner", 0)
    pipeline.agents[learner].on_message(SaveCheckpoint(request_id=1))
