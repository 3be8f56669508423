"""Measures the layers below the roles: the bare model and a bare ring.

Shape legend    R rows of a batch
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from ...config import Profile
from ...ipc.columns import named
from ...ipc.dataplane import DataPlane
from ...ipc.ring import RingReader, RingWriter
from ...ipc.roles import Role
from ...ipc.shape import LANES_PER_SEARCH, PlaneShape
from ...nets import FlatWeights, Model
from ...nets.engines.host_pool import HostPool
from ...nets.engines.networks import Arithmetic, make_networks, resolve_arithmetic, session_maker
from .noise import fill_frames, fill_trajectory


class BareModel:
    """The model in a loop on prepared batches, with as many rows as an inference server's searches have.

    Each root inference is followed by one recurrent inference per simulation of a search, in the server's runtime;
    each computes the scalar rewards and values of the server's answer.
    """

    def __init__(self, profile: Profile, plane: DataPlane, server: int, device: str) -> None:
        shape = plane.shape
        self._num_rows = sum(searches * shape.trees_of(role) for role, searches in _searches(shape, server).items())
        self._num_simulations = profile.search.num_simulations
        arithmetic = resolve_arithmetic(profile, torch.device(device))
        # Which runtime runs a user's own network is known only when it is made.
        in_pool = arithmetic.runtime == "torch" or profile.network.is_own
        make = _pool_search if in_pool else _host_search
        self._search = make(profile, shape, self._num_rows, device, arithmetic)
        self.items, self.seconds = 0, 0.0

    def run(self, seconds: float) -> None:
        """Runs the inferences of whole searches for about this many seconds."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            self._search()
            self.items += (1 + self._num_simulations) * self._num_rows
        self.seconds += time.monotonic() - began_s


def _searches(shape: PlaneShape, server: int) -> dict[Role, int]:
    """The number of simultaneous searches over one server's lanes, by role."""
    owners = [owner.role for owner in shape.lane_clients(server)]
    return {Role.ACTOR: owners.count(Role.ACTOR), Role.REANALYZER: owners.count(Role.REANALYZER) // LANES_PER_SEARCH}


def _pool_search(
    profile: Profile, shape: PlaneShape, num_rows: int, device: str, arithmetic: Arithmetic
) -> Callable[[], None]:
    observation, action_R = _inputs(shape, num_rows)
    (network,) = make_networks(
        profile, shape, torch.device(device), count=1, pool_rows=2 * num_rows, max_batch=num_rows
    )
    network.load(FlatWeights(_model(profile, shape)).read())
    root_R = np.arange(num_rows)
    child_R = root_R + num_rows

    def search() -> None:
        network.infer_roots(observation, root_R)
        for _ in range(profile.search.num_simulations):
            if profile.search.model == "rules":
                network.infer_roots(observation, root_R)
            else:
                network.infer_children(root_R, child_R, action_R)

    return search


def _host_search(
    profile: Profile, shape: PlaneShape, num_rows: int, device: str, arithmetic: Arithmetic
) -> Callable[[], None]:
    observation, action_R = _inputs(shape, num_rows)
    model = _model(profile, shape)
    pool = HostPool(0, model.hidden_shape, num_rows, model.num_policy_columns)
    sessions = session_maker(profile, model, shape, pool, arithmetic)(FlatWeights(model).read())
    pool.state_R[:], _ = sessions.run_root(observation)
    pool.action_R[:] = action_R

    def search() -> None:
        sessions.run_root(observation)
        for _ in range(profile.search.num_simulations):
            if profile.search.model == "rules":
                sessions.run_root(observation)
            else:
                sessions.run_child(num_rows)

    return search


def _model(profile: Profile, shape: PlaneShape) -> Model:
    return Model(profile.network, shape.observation_shape, shape.num_actions, action_size=shape.action_size)


def _inputs(shape: PlaneShape, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations and actions."""
    rng, observation = np.random.default_rng(0), np.zeros((num_rows, *shape.observation_shape), shape.frame_dtype)
    fill_frames(observation, rng)
    return observation, rng.integers(0, shape.num_actions, num_rows, np.int32)


def transitions_through_ring(plane: DataPlane, seconds: float) -> float:
    """Transitions/s through an actor's ring, writer and reader in turn: built in a slot, committed, read, released."""
    ring = plane.trajectory_ring(0)
    record = ring.layout.record(bytearray(ring.layout.nbytes))
    fill_trajectory(record, np.random.default_rng(0))
    places = [list(zip(named(slot).values(), named(record).values(), strict=True)) for slot in ring.slots]
    writer, reader, records = RingWriter(ring), RingReader(ring), 0
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        assert writer.claim() is not None
        for place, values in places[writer.sequence % len(places)]:
            place[...] = values
        writer.commit()
        assert reader.peek() is not None
        reader.release()
        records += 1
    return records * plane.shape.trajectory_length / elapsed_s
