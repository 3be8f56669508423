"""Runs one role alone: its own agent with its own laps, and stand-ins for its neighbours."""

import time
from collections.abc import Callable, Collection

import numpy as np

from ...config import Profile
from ...ipc.dataplane import DataPlane
from ...ipc.roles import Role
from ...ipc.shape import Member
from ...ipc.stages import StageReading, stages_of
from ...runtime.agent import Agent
from . import RoleAlone, StageAlone
from .noise import fill_batch, fill_positions, fill_trajectory
from .stand_ins import Answers, Drain, FreshTargets, Requests, Source, StandIn, Trainer

# After this time caches and rings are full, and everything is compiled.
_WARM_UP_S = 1.0


class Alone:
    """Runs laps of a started agent; stand-ins serve before each lap, and their time does not count.

    While a batch is on a GPU the server's stage goes on, and the stand-ins' time is part of it.
    """

    def __init__(self, agent: Agent, plane: DataPlane, member: Member, stand_ins: list[StandIn]) -> None:
        self._agent, self._plane, self._member, self._stand_ins = agent, plane, member, stand_ins
        self._clock = plane.stage_clock(member)
        self._cpu_ns, self._goes_on = 0, False
        self._first: tuple[StageReading, int] | None = None

    def warm_up(self) -> None:
        """Runs laps until every stage of the role has handled items, and then for a while longer."""
        while not self._has_worked():
            self._lap()
        self.run(_WARM_UP_S)
        self._first = self._plane.read_stages(), self._cpu_ns

    def run(self, seconds: float) -> None:
        """Runs laps for about this many seconds."""
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self._lap()

    def result(self) -> RoleAlone:
        """The work since the end of the warm-up."""
        assert self._first is not None
        row, (first, cpu_ns) = self._plane.index(self._member), self._first
        change = self._plane.read_stages().since(first)
        return RoleAlone(
            working_s=float(change.busy_PS[row].sum() + change.other_P[row]),
            cpu_s=(self._cpu_ns - cpu_ns) / 1e9,
            stages={
                stage.label: StageAlone(int(change.items_PS[row, stage]), float(change.busy_PS[row, stage]))
                for stage in stages_of(self._member.role)
            },
        )

    def _lap(self) -> None:
        for stand_in in self._stand_ins:
            stand_in.serve()
        began_ns = time.process_time_ns()
        if not self._goes_on:
            self._clock.start()
        work_count = self._agent.do_work()
        self._goes_on = self._clock.lap(work_count)
        if work_count:
            self._cpu_ns += time.process_time_ns() - began_ns

    def _has_worked(self) -> bool:
        items_S = self._plane.read_stages().items_PS[self._plane.index(self._member)]
        return all(items_S[stage] for stage in stages_of(self._member.role))


def stand_ins_of(member: Member, plane: DataPlane, profile: Profile) -> list[StandIn]:
    """Stand-ins for the member's neighbours."""
    return _NEIGHBOURS[member.role](member, plane, profile, np.random.default_rng(0))


def _of_actor(member: Member, plane: DataPlane, profile: Profile, rng: np.random.Generator) -> list[StandIn]:
    return [Answers(plane, member, rng), Drain(plane.trajectory_ring(member.index))]


def _of_inference(member: Member, plane: DataPlane, profile: Profile, rng: np.random.Generator) -> list[StandIn]:
    return [Requests(plane, member.index, profile.search, rng)]


def _of_learner(member: Member, plane: DataPlane, profile: Profile, rng: np.random.Generator) -> list[StandIn]:
    return [Source(plane.batch_ring(member.index), fill_batch, rng), Drain(plane.priority_ring(member.index))]


def _of_replay(member: Member, plane: DataPlane, profile: Profile, rng: np.random.Generator) -> list[StandIn]:
    shape = plane.shape
    rings = [plane.trajectory_ring(actor) for actor in range(shape.actors)]
    trajectories = [Source(ring, fill_trajectory, rng, lambda record: record.episode) for ring in rings]
    trainers = [Trainer(plane, rank, rng) for rank in range(shape.learner_ranks)]
    return [*trajectories, *trainers, *(FreshTargets(plane, index) for index in range(shape.reanalyzers))]


def _of_reanalyzer(member: Member, plane: DataPlane, profile: Profile, rng: np.random.Generator) -> list[StandIn]:
    return [
        Answers(plane, member, rng),
        Source(plane.position_ring(member.index), fill_positions, rng, lambda record: record.ticket),
        Drain(plane.target_ring(member.index)),
    ]


_NEIGHBOURS: dict[Role, Callable[[Member, DataPlane, Profile, np.random.Generator], list[StandIn]]] = {
    Role.ACTOR: _of_actor,
    Role.INFERENCE: _of_inference,
    Role.LEARNER: _of_learner,
    Role.REANALYZER: _of_reanalyzer,
    Role.REPLAY: _of_replay,
}


def roles_alone(present: Collection[Role]) -> list[Role]:
    """Roles of a run that can be measured alone; not the evaluator, because no other role waits for it."""
    return [role for role in _NEIGHBOURS if role in present]
