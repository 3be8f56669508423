"""BatchMaker: turns draws into batches in the ring, by way of the reanalyzers.

    draw -> part of its positions searched again -> gathered into a claimed slot -> committed

Several batches are in flight at once; they leave in the order in which they were
drawn.

Shape legend    B positions of a batch
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..config import Profile
from ..ipc.counters import WaitClock
from ..ipc.dataplane import DataPlane
from ..ipc.ring import RingWriter
from ..ipc.roles import Role
from ..ipc.schema import BatchSlot
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.trace import Mark
from .gather import Gatherer
from .rate_limiter import OpenLimiter, RateLimiter
from .reanalysis import Reanalysis
from .sampler import Sampler
from .table import Table


@dataclass
class PendingBatch:
    """A drawn batch; `waiting` of its positions are still with the reanalyzers, `fresh` of them have come back."""

    step_B: np.ndarray
    weight_B: np.ndarray
    td_steps_B: np.ndarray
    waiting: int = 0
    fresh: int = 0


class BatchMaker:
    """Draws batches as the rate limiter allows, and writes them to the learner's ring."""

    def __init__(
        self,
        profile: Profile,
        plane: DataPlane,
        table: Table,
        sampler: Sampler,
        gatherer: Gatherer,
        limiter: RateLimiter | OpenLimiter,
        waits: WaitClock,
        *,
        first_ticket: int = 0,
    ) -> None:
        self._profile, self._table, self._sampler, self._gatherer = profile, table, sampler, gatherer
        self._limiter, self._waits = limiter, waits
        self._clock = plane.stage_clock(Member(Role.REPLAY, 0))
        self._counters = plane.counters(Member(Role.REPLAY, 0))
        self._learner = plane.counters(Member(Role.LEARNER, 0))
        self._bells = [plane.doorbell(member) for member in plane.shape.learners()]
        self._ring = plane.batch_ring(0)
        self._writers = [RingWriter(plane.batch_ring(rank)) for rank in range(plane.shape.learner_ranks)]
        self._batch_size, self._rank_size = profile.learner.batch_size, plane.shape.rank_batch_size
        self._pending: deque[PendingBatch] = deque()
        self._owed = 0.0  # the part of a position (below 1) that rounding has left over so far
        self._reanalysis = Reanalysis(plane, table, gatherer, first_ticket) if plane.shape.position_readers() else None
        self._max_pending = profile.reanalyze.batches_in_flight if self._reanalysis else 1

    def do_work(self) -> int:
        """Advances every batch as far as it can go without waiting."""
        fresh = self._reanalysis.do_work() if self._reanalysis else 0
        return fresh + self._draw() + self._hand_out()

    def _draw(self) -> int:
        if len(self._pending) >= self._max_pending:
            return 0
        if not self._limiter.can_sample(self._batch_size):
            self._waits.mark("sample_wait")
            return 0
        self._clock.skip()
        step_B, weight_B = self._sampler.draw(self._batch_size, self._beta())
        batch = PendingBatch(step_B, weight_B, self._td_steps(step_B))
        self._clock.add(Stage.REPLAY_SAMPLE, 0)
        self._limiter.sampled += self._batch_size
        self._counters.set("sampled", self._limiter.sampled)
        self._pending.append(batch)
        if self._reanalysis:
            count = self._share()
            self._reanalysis.request(step_B[:count], batch.td_steps_B[:count], batch)
        return 1

    def _hand_out(self) -> int:
        if not self._pending:
            return 0
        slots = [slot for writer in self._writers if (slot := writer.claim()) is not None]
        if len(slots) < len(self._writers):
            self._counters.add("wait_out")
            self._waits.mark("learner_wait")
            self._clock.blocked()
            return 0
        batch = self._pending[0]
        if batch.waiting:
            self._waits.mark("reanalyze_wait")
            return 0
        self._pending.popleft()
        self._clock.skip()
        self._replace_evicted(batch)
        self._write(batch, slots, self._sampler.random_key())
        self._clock.end(Stage.REPLAY_SAMPLE, self._batch_size)
        self._count(batch)
        return 1

    def _write(self, batch: PendingBatch, slots: list[BatchSlot], random_key: int) -> None:
        """Gives each rank its rows; rank 0, which begins the steps, gets its own after all others."""
        first_newest = self._first_newest()
        for rank, slot in reversed(list(enumerate(slots))):
            first = rank * self._rank_size
            rows = slice(first, first + self._rank_size)
            self._gatherer.fill(slot, batch.step_B[rows], batch.td_steps_B[rows], random_key + first)
            if first_newest is not None:
                self._gatherer.mix_in_search_values(slot.unrolls, batch.step_B[rows], first_newest)
            slot.unrolls.weight_B[:] = batch.weight_B[rows]
            self._clock.mark(Mark.BATCH_SENT, rank, self._writers[rank].sequence)
            self._writers[rank].commit()
        for bell in self._bells:
            bell.ring()

    def _first_newest(self) -> int | None:
        """The step from which samples keep their n-step returns; None while all do (EfficientZero V2)."""
        replay = self._profile.replay
        if replay.value_target != "mixed" or self._learner.get("learner_steps") < replay.mixed_after_steps:
            return None
        return self._table.head - replay.mixed_newest

    def _share(self) -> int:
        """The number of this batch's positions to search again, rounded so that the fraction holds over batches."""
        self._owed += self._profile.reanalyze.fraction * self._batch_size
        count = int(self._owed)
        self._owed -= count
        return count

    def _beta(self) -> float:
        first, last = self._profile.replay.priority_beta
        limit = self._profile.stop.learner_steps
        passed = min(1.0, self._learner.get("learner_steps") / limit) if limit else 0.0
        return first + (last - first) * passed

    def _td_steps(self, step_B: np.ndarray) -> np.ndarray:
        """The n of each position: one less per auto_td_steps learner steps of age, at least 1 (EfficientZero, A.4)."""
        replay = self._profile.replay
        if replay.auto_td_steps == 0:
            return np.full(len(step_B), replay.td_steps, np.int64)
        age_B = self._age(self._table.steps.weights_version, step_B) * self._profile.learner.publish_interval
        return np.maximum(replay.td_steps - age_B // replay.auto_td_steps, 1)

    def _age(self, version_C: np.ndarray, step_B: np.ndarray) -> np.ndarray:
        """The age of each step, in weights versions, by a column of versions."""
        age_B = self._learner.get("weights_version") - version_C[step_B % self._table.capacity]
        return np.maximum(age_B, 0)

    def _replace_evicted(self, batch: PendingBatch) -> None:
        """Replaces positions that left the table while the batch waited by the oldest stored one, with weight 0."""
        evicted_B = batch.step_B < self._table.tail
        batch.step_B[evicted_B], batch.weight_B[evicted_B] = self._table.tail, 0.0
        self._counters.add("evicted", int(evicted_B.sum()))

    def _count(self, batch: PendingBatch) -> None:
        counters, table = self._counters, self._table
        counters.add("targets", self._batch_size * (2 * self._profile.num_unroll_steps + 1))
        counters.add("handed_out", self._batch_size)
        counters.add("reanalyzed", batch.fresh)
        staleness = self._age(table.steps.weights_version, batch.step_B).sum()
        target_age = self._age(table.added.search_version_C, batch.step_B).sum()
        counters.add("staleness", float(staleness))
        counters.add("target_age", float(target_age))
        counters.set("queue_fill", self._ring.fill())
