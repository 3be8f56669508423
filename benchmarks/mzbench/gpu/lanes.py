"""The section `lanes`: an inference server between lanes, in turns with the bare graph on as many rows.

Two groups of lanes search all the time, as the two lanes of an actor do: while one group's batch is on the card, the
server answers the other and gathers its next. The clock has the server's laps, and the time in which the groups
choose and write their requests. The bare graph has the same copies of observations and the same number of batches,
all queued at once.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import torch

from mzpipe.config import InferenceConfig, Profile, SearchConfig, TopologyConfig
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.messages import Note
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsPublisher
from mzpipe.launch.roles import make_agent
from mzpipe.measure.ceilings.stand_ins import Searching
from mzpipe.nets import device_has_bfloat16
from mzpipe.runs.directory import RunDirectory
from mzpipe.runtime.agent import Agent
from mzpipe.runtime.context import RoleContext

from ..children import meeting_place
from ..learner.work import Work, make_profile, make_shape
from ..timing import Contestant, turn_about
from .inference import Recording, loaded_network
from .lines import Bound, Line, Setting
from .works import drawn_weights, efficientzero

_GROUPS, _SERVER = 2, Member(Role.INFERENCE, 0)
_BOUNDS = (
    Bound("simulations_per_s", "goal: a million simulations a second", least=1e6, is_speed=True),
    Bound("over_bare", "goal: lanes cost a tenth", least=0.9, is_speed=True),
    Bound("notes", "nothing falls back", most=0.0),
)


def measure(setting: Setting) -> Iterator[Line]:
    """Simulations of EfficientZero's network a second."""
    work, lanes, trees = efficientzero(setting), setting.pick(8, 1), setting.pick(128, 3)
    profile = _profile(work, lanes, trees, setting.pick(50, 2))
    simulations = _GROUPS * lanes * trees * profile.search.num_simulations
    with meeting_place() as (run, runtime), ExitStack() as closing:
        plane, port = DataPlane.create(runtime, make_shape(work, profile)), LocalPort()
        WeightsPublisher(plane.weights()).publish(drawn_weights(work, 1), learner_steps=0, env_steps=0)
        server = _started(profile, plane, run, setting.device, port, closing)
        served = ServedSearches(server, plane, profile)
        every = [
            Contestant("lanes", served.search),
            Contestant("bare", _bare(work, served, profile, setting.device)),
        ]
        timings = turn_about(every, rounds=setting.pick(5, 1)).timings
    notes = [message.text for message in port.to_supervisor if isinstance(message, Note)]
    numbers = {
        "rows": float(lanes * trees),
        "simulations_per_s": simulations / timings["lanes"].seconds,
        "bare_per_s": simulations / timings["bare"].seconds,
        "over_bare": timings["bare"].seconds / timings["lanes"].seconds,
        "notes": float(len(notes)),
    }
    yield Line(f"{work.name} through lanes", numbers, _BOUNDS, " ".join(notes))


def _profile(work: Work, lanes: int, trees: int, num_simulations: int) -> Profile:
    return dataclasses.replace(
        make_profile(work, 1, 1),
        search=SearchConfig(num_simulations=num_simulations),
        inference=InferenceConfig(batch_timeout_us=0),
        topology=TopologyConfig(
            actors=_GROUPS, lanes_per_actor=lanes, trees_per_lane=trees, trajectory_ring_slots=1, batch_ring_slots=1
        ),
    )


def _started(
    profile: Profile, plane: DataPlane, run: RunDirectory, device: str, port: LocalPort, closing: ExitStack
) -> Agent:
    server = make_agent(RoleContext(profile, plane, _SERVER, run.storage, device, port))
    closing.callback(server.on_close)
    server.on_start()
    server.do_work()  # loads the weights
    return server


class ServedSearches:
    """An inference server, and groups of lanes that search all the time; the groups ask in turn."""

    def __init__(self, server: Agent, plane: DataPlane, profile: Profile) -> None:
        self._server, self._counters, random = server, plane.counters(_SERVER), np.random.default_rng(0)
        trees, simulations = profile.topology.trees_per_lane, profile.search.num_simulations
        self.groups = [plane.lane_clients(Member(Role.ACTOR, group)) for group in range(_GROUPS)]
        self.num_trees = trees
        self._searching = [
            [Searching([lane], trees, profile.search, plane.shape.num_actions, random) for lane in lanes]
            for lanes in self.groups
        ]
        self._rows_of_a_search = trees * sum(map(len, self.groups)) * (1 + simulations)

    def search(self) -> None:
        """Laps in which as many requests are answered as one search of every tree has."""
        goal = self._counters.get("batch_rows") + self._rows_of_a_search
        while self._counters.get("batch_rows") < goal:
            for group in self._searching:
                for lane in group:
                    lane.serve()
                self._server.do_work()


def _bare(work: Work, served: ServedSearches, profile: Profile, device: str) -> Callable[[], None]:
    """Queues all batches of one search of every tree, and waits for the last."""
    lanes, trees = served.groups[0], served.num_trees
    num_rows, runway = len(lanes) * trees, Recording(torch.device(device))
    network = loaded_network(work, runway, num_rows, device_has_bfloat16(runway.device))
    network.infer_children(np.arange(num_rows), np.arange(num_rows) + num_rows, np.zeros(num_rows, np.int32))
    child, flight = runway.last, network.flights[0]

    def search() -> None:
        for group in served.groups:
            network.start_roots(flight, [lane.observation[:trees] for lane in group])
            with runway.queued():
                for _ in range(profile.search.num_simulations):
                    child()
        torch.cuda.synchronize(runway.device)

    return search
