"""Moments of a made-up pipeline: an actor, a server, a replay server, a learner and an evaluator."""

import numpy as np

from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage, StageClock, StageReading, stages_layout
from mzpipe.telemetry.rates import Moment, ProcessorTime

MEMBERS = tuple(Member(role, 0) for role in ("learner", "inference", "replay", "actor", "evaluator"))
MS = 1_000_000


class Pipeline:
    """Processes whose clocks move when told; `moment` reads them."""

    def __init__(self, members=MEMBERS):
        (shape,) = [field.shape for field in stages_layout(len(members)).fields]
        self.words, self.members, self.now_ns = np.zeros(shape, np.int64), members, dict.fromkeys(members, 0)
        self.devices = {}
        self.clocks = {
            member: StageClock(self.words, row, lambda member=member: self.now_ns[member])
            for row, member in enumerate(members)
        }
        for clock in self.clocks.values():
            clock.start()

    def works(self, member, stage, milliseconds, items=1):
        self.now_ns[member] += milliseconds * MS
        self.clocks[member].end(stage, items)
        self.clocks[member].lap(1)

    def waits(self, member, milliseconds, *, blocked=False):
        if blocked:
            self.clocks[member].blocked()
        self.now_ns[member] += milliseconds * MS
        self.clocks[member].lap(0)

    def moment(self, time_s, cpu_s=(), pid=7):
        cpu = {member: ProcessorTime(pid, seconds) for member, seconds in dict(cpu_s).items()}
        return Moment(time_s, self.members, StageReading(self.words), cpu, dict(self.devices))


def busy_second(pipeline, working_ms):
    """One second in which each role works for its `working_ms` on its main stage and waits for the rest."""
    main = {
        "learner": Stage.BACKWARD,
        "inference": Stage.INFERENCE_DEVICE,
        "replay": Stage.REPLAY_SAMPLE,
        "reanalyzer": Stage.REANALYZE,
        "actor": Stage.TREE,
        "evaluator": Stage.EVALUATION,
    }
    for member in pipeline.members:
        pipeline.works(member, main[member.role], working_ms[member.role], items=10)
        pipeline.waits(member, 1_000 - working_ms[member.role])
