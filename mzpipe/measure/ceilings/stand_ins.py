"""Stand-ins for the neighbours of a role that is measured alone; their work takes none of the measured time.

They give and take all records at once. The records are noise, written once; only necessary fields change.

Shape legend    T trees of a lane   A actions
"""

from collections.abc import Callable
from typing import Generic, Protocol

import numpy as np

from ...config import SearchConfig
from ...ipc.columns import R
from ...ipc.dataplane import DataPlane
from ...ipc.lane import LaneClient, RequestKind
from ...ipc.ring import Ring, RingReader, RingWriter
from ...ipc.roles import Role
from ...ipc.shape import LANES_PER_SEARCH, Member
from .noise import fill_frames

# The number of answers that a lane gets in turn, so that its trees differ.
_ANSWERS = 16


class StandIn(Protocol):
    """A neighbour of the measured role."""

    def serve(self) -> None:
        """Gives as much work as there is room for, and takes all results."""


class Answers:
    """Replaces an inference server, for the lanes of one process."""

    def __init__(self, plane: DataPlane, member: Member, rng: np.random.Generator) -> None:
        server, _ = plane.shape.lanes_of(member)
        self._lanes, self._turn = plane.lane_server(server), 0
        block = self._lanes.block
        block["weights_version"][:] = 1
        self._answers = [
            {name: rng.standard_normal(block[name].shape[1:], np.float32) for name in ("reward", "value")}
            | {"policy_logits": rng.standard_normal(block["policy_logits"].shape[1:], np.float32)}
            for _ in range(_ANSWERS)
        ]

    def serve(self) -> None:
        """Answers every pending lane."""
        pending = self._lanes.pending()
        for lane in pending:
            self._turn += 1
            for name, values in self._answers[self._turn % _ANSWERS].items():
                self._lanes.block[name][lane] = values
        self._lanes.respond(pending)


class Drain:
    """Replaces a ring's reader."""

    def __init__(self, ring: Ring) -> None:
        self._reader = RingReader(ring)

    def serve(self) -> None:
        """Reads all records of the ring."""
        while self._reader.peek() is not None:
            self._reader.release()


class Source(Generic[R]):
    """Replaces a ring's writer: keeps the ring full of records that `fill` has written once.

    `numbered` returns the field of a record that holds its number.
    """

    def __init__(
        self,
        ring: Ring[R],
        fill: Callable[[R, np.random.Generator], None],
        rng: np.random.Generator,
        numbered: Callable[[R], np.ndarray] | None = None,
    ) -> None:
        self._writer, self._numbered, self._number = RingWriter(ring), numbered, 0
        for slot in ring.slots:
            fill(slot, rng)

    def serve(self) -> None:
        """Fills the ring."""
        while (slot := self._writer.claim()) is not None:
            if self._numbered:
                self._numbered(slot)[0] = self._number
                self._number += 1
            self._writer.commit()


class Trainer:
    """Replaces a learner rank, for the replay server: takes every batch and sends its priorities."""

    def __init__(self, plane: DataPlane, rank: int, rng: np.random.Generator) -> None:
        self._batches, self._answers = RingReader(plane.batch_ring(rank)), RingWriter(plane.priority_ring(rank))
        self._priority_B = rng.random(plane.shape.rank_batch_size, np.float32)

    def serve(self) -> None:
        """Takes as many batches as there is room for the answers."""
        while (batch := self._batches.peek()) is not None and (answer := self._answers.claim()) is not None:
            for key_B, sampled_B in zip(answer.keys, batch.keys, strict=True):
                key_B[:] = sampled_B
            answer.priority_B[:] = self._priority_B
            self._answers.commit()
            self._batches.release()


class FreshTargets:
    """Replaces a reanalyzer, for the replay server."""

    def __init__(self, plane: DataPlane, reanalyzer: int) -> None:
        self._positions = RingReader(plane.position_ring(reanalyzer))
        self._targets = RingWriter(plane.target_ring(reanalyzer))

    def serve(self) -> None:
        """Answers every ticket."""
        while (positions := self._positions.peek()) is not None and (targets := self._targets.claim()) is not None:
            targets.ticket[:] = positions.ticket
            targets.search_version[0] = targets.bootstrap_version[0] = 1
            targets.search_policy[...] = 1.0 / targets.search_policy.shape[1]
            targets.root_value[...] = targets.bootstrap_value[...] = 0.0
            self._targets.commit()
            self._positions.release()


class Requests:
    """Replaces actors and reanalyzers, for an inference server: every lane searches all the time."""

    def __init__(self, plane: DataPlane, server: int, config: SearchConfig, rng: np.random.Generator) -> None:
        self._searches: list[Searching] = []
        for member in plane.shape.members():
            if member.role not in (Role.ACTOR, Role.REANALYZER) or plane.shape.lanes_of(member)[0] != server:
                continue
            lanes, trees = plane.lane_clients(member), plane.shape.trees_of(member.role)
            # A reanalyzer has two lanes per search: one for the search, one for the values of the same positions.
            step = LANES_PER_SEARCH if member.role == Role.REANALYZER else 1
            for first in range(0, len(lanes), step):
                searching = Searching(lanes[first : first + step], trees, config, plane.shape.num_actions, rng)
                self._searches.append(searching)

    def serve(self) -> None:
        """Sends a request on every lane that has been answered."""
        for searching in self._searches:
            searching.serve()


class Searching:
    """A lane with one search after another, and its second lane, if there is one, with requests for roots only."""

    def __init__(
        self, lanes: list[LaneClient], trees: int, config: SearchConfig, num_actions: int, rng: np.random.Generator
    ) -> None:
        num_simulations = config.num_simulations
        self._lanes, self._trees, self._num_simulations = lanes, trees, num_simulations
        self._kind = RequestKind.ROOT if config.model == "rules" else RequestKind.RECURRENT
        self._node = num_simulations
        self._parent_NT = np.array([rng.integers(0, max(1, node), trees) for node in range(1 + num_simulations)])
        self._action_NT = rng.integers(0, num_actions, self._parent_NT.shape)
        for lane, last_node in zip(lanes, (num_simulations, 0), strict=False):
            lane.prepare(last_node=last_node)
            fill_frames(lane.observation[:trees], rng)

    def serve(self) -> None:
        """Sends the next request, if everything is answered."""
        if not all(lane.ready() for lane in self._lanes):
            return
        if self._node == self._num_simulations:
            self._node = 0
            for lane in self._lanes:
                lane.request(RequestKind.ROOT, node_index=0, num_rows=self._trees)
            return
        self._node += 1
        lane = self._lanes[0]
        lane.parent_index[: self._trees] = self._parent_NT[self._node]
        lane.action[: self._trees] = self._action_NT[self._node]
        lane.request(self._kind, node_index=self._node, num_rows=self._trees)
