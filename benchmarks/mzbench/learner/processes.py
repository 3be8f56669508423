"""The processes around the measured learner: one that refills its batch ring, and its other ranks.

Run as `python -m mzbench.learner.processes ROLE INDEX RUN DEVICES CORES PARENT_PID`, lists with commas.
"""

import os
import sys
from pathlib import Path

from mzpipe.config import load_profile
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.messages import Failed
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.roles import STOP_STAGES, Devices, make_agent
from mzpipe.runs.directory import RunDirectory
from mzpipe.runtime.agent import Agent, StopView, run_agent
from mzpipe.runtime.context import RoleContext
from mzpipe.runtime.idle import IdleStrategy
from mzpipe.runtime.process import end_process, follow_supervisor

REPLAY = Member(Role.REPLAY, 0)


class Refiller(Agent):
    """Replaces the replay server: commits the batches in the ring again and again.

    Reads   priority_ring[r]
    Writes  batch_ring[r], only the header of each slot
    """

    role = Role.REPLAY

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        plane = self._plane
        ranks = range(plane.shape.learner_ranks)
        self._writers = [RingWriter(plane.batch_ring(rank)) for rank in ranks]
        self._answers = [RingReader(plane.priority_ring(rank)) for rank in ranks]
        self._bells = [plane.doorbell(member) for member in plane.shape.learners()]

    def do_work(self) -> int:
        """Takes the ranks' answers, and commits the next slot of every rank once all have one free."""
        return sum(self._take(answers) for answers in self._answers) + self._refill()

    def _take(self, answers: RingReader) -> int:
        if answers.peek() is None:
            return 0
        answers.release()
        return 1

    def _refill(self) -> int:
        if any(writer.claim() is None for writer in self._writers):
            return 0
        for writer in reversed(self._writers):  # rank 0 starts the steps, so it is served last
            writer.commit()
        for bell in self._bells:
            bell.ring()
        return 1


def make_member(member: Member, run: RunDirectory, plane: DataPlane, devices: tuple[str, ...]) -> Agent:
    """A rank of the learner as in a run, or the refiller."""
    device = Devices(devices, ("cpu",)).of(member)
    context = RoleContext(load_profile(run.profile), plane, member, run.storage, device, LocalPort())
    return Refiller(context) if member == REPLAY else make_agent(context)


def main(role: str, index: str, path: str, devices: str, cores: str, parent_pid: str) -> int:
    """Runs the program until the run stops; errors go to stderr."""
    os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    run, member, control = RunDirectory(Path(path)), Member(Role(role), int(index)), LocalPort()
    runtime = Path(run.live().runtime_directory)
    follow_supervisor(runtime, int(parent_pid))
    plane = DataPlane.attach(runtime)
    agent = make_member(member, run, plane, tuple(devices.split(",")))
    counters, idle = plane.counters(member), IdleStrategy(plane.doorbell(member))
    idle.after(0)  # compiles the idle strategy before the measurement
    counters.set("ready", 1)  # a rank's start waits for all ranks; this announces the process before that
    code = run_agent(
        agent,
        control=control,
        stop=StopView(plane.stop_word(), STOP_STAGES[member.role]),
        idle=idle,
        counters=counters,
        clock=plane.stage_clock(member),
        errors=plane.errors(member),
    )
    for failure in control.to_supervisor:
        if isinstance(failure, Failed):
            sys.stderr.write(failure.traceback)
    return code


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
