"""A learner between rings that other processes keep full.

    refiller  -- batch_ring[r] -->  learner rank r  -- priority_ring[r] -->  refiller

Rank 0 is in this process, on the measured core; the refiller and the other
ranks are processes on other cores, if there are any.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mzpipe.errors import MzpipeError
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.roles import LAST_STAGE
from mzpipe.measure.ceilings.noise import fill_batch
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runtime.agent import Agent
from mzpipe.runtime.idle import IdleStrategy

from ..children import Children, meeting_place
from .processes import REPLAY, make_member
from .work import Work, make_profile, make_shape

_FIRST = Member(Role.LEARNER, 0)
_PROGRAM = "mzbench.learner.processes"


class FedLearner:
    """Rank 0 of the learner, and the number of its steps that had to wait."""

    def __init__(self, learner: Agent, plane: DataPlane, children: Children) -> None:
        self._learner, self._children = learner, children
        self._idle, self._counters = IdleStrategy(plane.doorbell(_FIRST)), plane.counters(_FIRST)
        self._idle.after(0)  # compiles the idle strategy now, outside the clock
        self.steps, self.late = 0, 0

    def step(self) -> None:
        """Runs laps until one batch has been trained on: the learner's own loop without the control socket."""
        waited = False
        while not (work_count := self._learner.do_work()):
            waited = True
            self._children.check()
            self._idle.after(work_count)
        self._idle.after(work_count)
        self.late += waited and self.steps > 0  # the first batch waits for its process to start
        self.steps += 1

    def check(self) -> None:
        """Raises MzpipeError if steps were skipped: they are shorter, so the measurement is invalid."""
        skipped = self._counters.get("skipped_steps")
        if skipped:
            raise MzpipeError(f"{skipped} of {self.steps} training steps were not finite: nothing was measured")

    def waiting(self, name: str) -> str:
        """A note on how often it waited; with a replay server that keeps up it never waits."""
        return f"{name}: {self.late:,} of {self.steps:,} steps waited for a batch"


@contextmanager
def fed_learner(work: Work, rank_size: int, devices: tuple[str, ...], spare_cores: list[int]) -> Iterator[FedLearner]:
    """A started learner, a rank on each device; afterwards no process, segment or process group is left."""
    profile = make_profile(work, rank_size, len(devices))
    with meeting_place() as (run, runtime):
        save_profile(profile, run.profile)
        plane = DataPlane.create(runtime, make_shape(work, profile))
        fill_rings(plane)
        with _running(plane, run, devices, spare_cores) as learner:
            yield learner
            learner.check()


@contextmanager
def _running(
    plane: DataPlane, run: RunDirectory, devices: tuple[str, ...], spare_cores: list[int]
) -> Iterator[FedLearner]:
    children, learner = Children("the learner", _PROGRAM, run.logs / "children.log"), None
    cores_of = shared_out(spare_cores, len(devices))
    try:
        for member, cores in cores_of.items():
            words = [str(run.path), ",".join(devices), ",".join(map(str, cores)), str(os.getpid())]
            children.start(member.identity, [member.role, str(member.index), *words])
        children.await_ready(lambda: all(plane.counters(member).get("ready") for member in cores_of))
        learner = make_member(_FIRST, run, plane, devices)
        learner.on_start()
        yield FedLearner(learner, plane, children)
    finally:
        plane.stop_word().raise_to(LAST_STAGE)
        for member in plane.shape.members():
            plane.doorbell(member).ring()
        if learner is not None:
            learner.on_close()
        children.stop()


def shared_out(spare_cores: list[int], num_ranks: int) -> dict[Member, list[int]]:
    """The cores of each process except rank 0: one core per rank, the others, if any, for the refiller."""
    ranks = {Member(Role.LEARNER, rank): [spare_cores[-rank % len(spare_cores)]] for rank in range(1, num_ranks)}
    return {REPLAY: spare_cores[: 1 - num_ranks or None] or spare_cores, **ranks}


def fill_rings(plane: DataPlane) -> None:
    """Writes a different batch into every slot."""
    rng = np.random.default_rng(0)
    for rank in range(plane.shape.learner_ranks):
        for slot in plane.batch_ring(rank).slots:
            fill_batch(slot, rng)
