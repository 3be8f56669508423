"""The replay server: takes trajectories in, hands batches out, at the rate that samples_per_insert allows.

Reads   trajectory_ring[i]
Writes  batch_ring[r]
Owns    the table
"""

import numpy as np

from ..config import Profile
from ..ipc.dataplane import DataPlane, Member
from ..ipc.messages import Message
from ..ipc.ring import RingReader, RingWriter
from ..planning import derive_seed
from .gather import Gatherer
from .rate_limiter import RateLimiter
from .sampler import UniformSampler
from .table import Table


class ReplayServer:
    """Agent of role `replay`."""

    role = "replay"

    def __init__(self, profile: Profile, plane: DataPlane, discount: float) -> None:
        self._profile, self._plane, self._discount = profile, plane, discount
        self._counters = plane.counters(Member(self.role, 0))
        self._learner = plane.counters(Member("learner", 0))
        self._learner_bell = plane.doorbell(Member("learner", 0))

    def on_start(self) -> None:
        """Allocates the table and attaches to the rings."""
        profile, shape, replay = self._profile, self._plane.shape, self._profile.replay
        self._table = Table(
            capacity_bytes=replay.capacity_bytes,
            frame_shape=shape.frame_shape,
            frame_dtype=shape.frame_dtype,
            num_actions=shape.num_actions,
            trajectory_length=shape.trajectory_length,
        )
        self._batch_size = profile.learner.batch_size
        self._limiter = RateLimiter(
            samples_per_insert=replay.samples_per_insert,
            min_size=replay.min_size_to_sample,
            max_insert_lead=replay.max_insert_lead,
        )
        self._sampler = UniformSampler(self._table, derive_seed(profile.seed, self.role))
        self._gatherer = Gatherer(self._table, discount=self._discount, td_steps=replay.td_steps)
        self._readers = [RingReader(self._plane.trajectory_ring(actor)) for actor in range(shape.actors)]
        self._actor_bells = [self._plane.doorbell(Member("actor", actor)) for actor in range(shape.actors)]
        self._batch_ring = self._plane.batch_ring(0)
        self._writer = RingWriter(self._batch_ring)
        self._counters.set("capacity", self._table.capacity)

    def do_work(self) -> int:
        """Takes one record from each ring, then builds one batch, as far as the rate limiter allows."""
        return sum(self._insert(actor) for actor in range(len(self._readers))) + self._sample()

    def on_message(self, message: Message) -> None:
        """Takes no messages."""

    def on_close(self) -> None:
        """Nothing outlives the process."""

    def _insert(self, actor: int) -> int:
        reader = self._readers[actor]
        record = reader.peek()
        if record is None or not self._limiter.can_insert(int(record["length"][0])):
            return 0
        length = self._table.insert(record, actor=actor, epoch=reader.epoch())
        reader.release()
        self._actor_bells[actor].ring()
        self._limiter.inserted += length
        self._counters.set("inserted", self._limiter.inserted)
        self._counters.set("stored", self._table.size)
        return 1

    def _sample(self) -> int:
        if not self._limiter.can_sample(self._batch_size):
            return 0
        slot = self._writer.claim()
        if slot is None:
            self._counters.add("wait_out")
            return 0
        step_B = self._sampler.sample(self._batch_size)
        self._gatherer.fill(slot, step_B, self._sampler.random_key())
        slot["weight"][:] = 1.0
        self._writer.commit()
        self._learner_bell.ring()
        self._count(step_B)
        return 1

    def _count(self, step_B: np.ndarray) -> None:
        self._limiter.sampled += self._batch_size
        self._counters.set("sampled", self._limiter.sampled)
        self._counters.add("targets", self._batch_size * (2 * self._profile.learner.num_unroll_steps + 1))
        played = self._table.steps.weights_version_C[step_B % self._table.capacity]
        age = self._learner.get("weights_version") - played
        self._counters.add_fraction("staleness_millionths", float(np.maximum(age, 0).sum()))
        self._counters.set_fraction("queue_fill_millionths", self._batch_ring.fill())
