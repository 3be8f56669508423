"""Tables that the episodes fill, the steps of the batches, and the slots that batches are written to."""

import itertools
import mmap
from collections.abc import Iterator

import numpy as np

from mzpipe.ipc.columns import RecordLayout, Sizes, named
from mzpipe.ipc.schema import BatchSlot
from mzpipe.replay.compressed import INDEX_BYTES_PER_STEP
from mzpipe.replay.sizes import TableShape, bytes_per_transition
from mzpipe.replay.table import Table

from .episodes import NUM_ACTIONS, Episodes, records

FRAME_STACK, UNROLL_STEPS, TD_STEPS, DISCOUNT = 4, 5, 5, 0.997
BATCH_SIZE = 256
# Positions drawn before the clock starts: their stacks fill a cache of 32 MB many times over.
POSITIONS = 16_384
# In transitions; the last one of an episode may be shorter.
TRAJECTORY_LENGTHS = (50, 200)
SLOTS_OF_THE_RING = 4
# Exponents of priorities and of importance weights.
ALPHA, BETA = 0.6, 0.4


def fill(table: Table, episodes: Episodes, rng: np.random.Generator) -> Table:
    """Inserts all episodes: transition t becomes step t."""
    for record in records(episodes, rng, TRAJECTORY_LENGTHS):
        table.insert(record, actor=0, epoch=0)
    return table


def make_table(episodes: Episodes, rng: np.random.Generator) -> Table:
    """A table that the episodes fill to the last row."""
    shape, dtype = episodes.frame_T.shape[1:], episodes.frame_T.dtype.name
    table = Table(
        TableShape(
            capacity_bytes=len(episodes.frame_T) * bytes_per_transition(shape, dtype, NUM_ACTIONS),
            frame_shape=shape,
            frame_dtype=dtype,
            num_actions=NUM_ACTIONS,
            trajectory_length=TRAJECTORY_LENGTHS[1],
        )
    )
    return fill(table, episodes, rng)


def make_tiered(episodes: Episodes, rng: np.random.Generator) -> Table:
    """A table that keeps the frames of all but the newest two trajectories' worth compressed."""
    shape, dtype = episodes.frame_T.shape[1:], episodes.frame_T.dtype.name
    per_transition = bytes_per_transition(shape, dtype, NUM_ACTIONS)
    table = Table(
        TableShape(
            capacity_bytes=2 * TRAJECTORY_LENGTHS[1] * per_transition,
            frame_shape=shape,
            frame_dtype=dtype,
            num_actions=NUM_ACTIONS,
            trajectory_length=TRAJECTORY_LENGTHS[1],
            compressed_bytes=len(episodes.frame_T) * (per_transition + INDEX_BYTES_PER_STEP),
        )
    )
    return fill(table, episodes, rng)


def slot_layout(episodes: Episodes, batch_size: int, *, following: bool = False) -> RecordLayout[BatchSlot]:
    """A slot of the batch ring; `following` adds the frames after each action."""
    sizes = Sizes(
        num_actions=NUM_ACTIONS,
        frame_dtype=episodes.frame_T.dtype.name,
        frame_shape=episodes.frame_T.shape[1:],
        frame_stack=FRAME_STACK,
        batch_size=batch_size,
        num_unroll_steps=UNROLL_STEPS,
        next_observations=following,
    )
    return RecordLayout.of(BatchSlot, sizes)


def ring_slots(episodes: Episodes, batch_size: int) -> Iterator[BatchSlot]:
    """An endless sequence of slots in shared memory, in a ring's order, with every page touched."""
    layout = slot_layout(episodes, batch_size)
    slots = [layout.record(mmap.mmap(-1, layout.nbytes)) for _ in range(SLOTS_OF_THE_RING)]
    for array in itertools.chain.from_iterable(named(slot).values() for slot in slots):
        array.fill(0)
    return itertools.cycle(slots)


def batch_bytes(episodes: Episodes, batch_size: int, *, following: bool = False) -> int:
    """Bytes of all arrays of one batch."""
    return sum(field.nbytes for field in slot_layout(episodes, batch_size, following=following).fields)


def drawn_steps(stop: int, size: tuple[int, int]) -> np.ndarray:
    """Random steps before `stop`."""
    return np.random.default_rng(3).integers(0, stop, size)
