"""The part `handoff` of the case `replay`: batches of atari100k's sizes from the table through the ring.

Shape legend    B positions of a batch   K unroll steps   N stacks
"""

import itertools
import mmap
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mzpipe.ipc.ring import Ring, RingReader, RingWriter
from mzpipe.ipc.schema import BatchSlot
from mzpipe.ipc.segment import HEADER_BYTES, Segment
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.table import Table

from ..rates import MZPIPE, rates_of, rows_of
from ..report import Comparison
from ..timing import Contestant
from .episodes import Episodes, make_episodes
from .rates import PIECES, STACKS
from .references import memcpy_pieces
from .tables import (
    BATCH_SIZE,
    DISCOUNT,
    FRAME_STACK,
    POSITIONS,
    SLOTS_OF_THE_RING,
    TD_STEPS,
    UNROLL_STEPS,
    drawn_steps,
    make_table,
    slot_layout,
)

# Of profiles/atari100k.toml.
FRAME_SHAPE = (3, 96, 96)
_TIMED_PARTS = 15


def compare_handoff(num_transitions: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Compares batches with each frame once with whole stacks and with memcpy; and notes bytes and host times."""
    rng = np.random.default_rng(0)
    episodes = make_episodes(rng.integers(0, 256, (num_transitions, *FRAME_SHAPE), np.uint8), rng)
    table, num_batches = make_table(episodes, rng), POSITIONS // BATCH_SIZE
    handoff = Handoff(table, episodes, num_batches)
    stacks = WholeStacks(table, num_batches)
    every = [
        Contestant(MZPIPE, handoff.batch),
        Contestant(STACKS, stacks.batch),
        Contestant(PIECES, memcpy_pieces(episodes, BATCH_SIZE, num_batches, seed=1, following=True)),
    ]
    rows = rows_of("replay/handoff/atari100k", "batches/s", rates_of(every, 1.0, rounds))
    fill_ms, commit_ms = handoff.host_ms()
    sizes = f"{handoff.nbytes / 1e6:.0f} MB a batch, {stacks.nbytes / 1e6:.0f} MB of whole stacks"
    return rows, [f"atari100k: {sizes}; fill {fill_ms:.1f} ms, commit {commit_ms:.3f} ms"]


class Handoff:
    """The replay server's and the learner's ends of a batch ring, in one process."""

    def __init__(self, table: Table, episodes: Episodes, num_batches: int) -> None:
        layout = slot_layout(episodes, BATCH_SIZE, following=True)
        room = mmap.mmap(-1, HEADER_BYTES + Ring.payload_bytes(layout, SLOTS_OF_THE_RING))
        ring = Ring(Segment(Path("batch"), room), layout, SLOTS_OF_THE_RING)
        for payload in ring.payloads:
            payload.fill(0)
        self.nbytes = layout.nbytes
        self._writer, self._reader = RingWriter(ring), RingReader(ring)
        self._gatherer = Gatherer(table, discount=DISCOUNT, td_steps=TD_STEPS)
        self._steps = itertools.cycle(drawn_steps(table.size, (num_batches, BATCH_SIZE)))
        self._td_steps_B = np.full(BATCH_SIZE, TD_STEPS)

    def batch(self) -> None:
        """Claims a slot, fills and commits it; peeks at it and releases it."""
        self._fill()
        self._writer.commit()
        self._take()

    def host_ms(self) -> tuple[float, float]:
        """Median milliseconds of fill and of commit."""
        times = []
        for _ in range(_TIMED_PARTS):
            times.append((_ms(self._fill), _ms(self._writer.commit)))
            self._take()
        fill_ms, commit_ms = (statistics.median(part) for part in zip(*times, strict=True))
        return fill_ms, commit_ms

    def _fill(self) -> None:
        slot: BatchSlot | None = self._writer.claim()
        assert slot is not None
        self._gatherer.fill(slot, next(self._steps), self._td_steps_B, 7)
        slot.unrolls.weight_B[:] = 1.0

    def _take(self) -> None:
        assert self._reader.peek() is not None
        self._reader.release()


class WholeStacks:
    """Writes the stacks of the positions and after each of their actions whole, frames many times, and no targets."""

    def __init__(self, table: Table, num_batches: int) -> None:
        self._gatherer = Gatherer(table, discount=DISCOUNT, td_steps=TD_STEPS)
        self._steps = itertools.cycle(drawn_steps(table.size, (num_batches, BATCH_SIZE)))
        channels, *sides = FRAME_SHAPE
        shape = (BATCH_SIZE * (UNROLL_STEPS + 1), FRAME_STACK * channels, *sides)
        self.nbytes = int(np.prod(shape))
        self._stack_N = np.frombuffer(mmap.mmap(-1, self.nbytes), np.uint8).reshape(shape)
        self._stack_N.fill(0)

    def batch(self) -> None:
        """Writes those of one batch."""
        num_states = UNROLL_STEPS + 1
        distance_N = np.tile(np.arange(num_states), BATCH_SIZE)
        later_N = self._gatherer.later_steps(np.repeat(next(self._steps), num_states), distance_N)
        self._gatherer.stacks(later_N, self._stack_N)


def _ms(call: Callable[[], None]) -> float:
    begun_ns = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - begun_ns) / 1e6
