"""The parts `compressed` and `insert` of the case `replay`: stacks from zstd blocks, records into a full table."""

import itertools
from collections.abc import Callable

import numpy as np

from mzpipe.ipc.columns import copied, named
from mzpipe.ipc.schema import Trajectory
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.table import Table

from ..rates import MZPIPE, rates_of, rows_of
from ..report import Comparison
from ..timing import Contestant
from .episodes import Episodes, make_episodes, play, random_episodes, records
from .rates import RAW, WHOLE
from .tables import BATCH_SIZE, DISCOUNT, TD_STEPS, drawn_steps, make_table, make_tiered, ring_slots

_GAMES = ("Pong", "Seaquest")
_RECORD_LENGTH, _RECORDS, _INSERT_TRANSITIONS = 64, 16, 16_384


def compare_compressed(num_frames: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Compares stacks from zstd blocks with the same stacks from raw frames; and notes the compression ratio."""
    rows, notes = [], []
    for game in _GAMES:
        rng = np.random.default_rng(0)
        episodes = make_episodes(play(game, num_frames), rng)
        raw, tiered = make_table(episodes, rng), make_tiered(episodes, rng)
        tier = tiered.frames.tier
        assert tier is not None
        batches = drawn_steps(tiered.frames.raw_tail, (num_frames // BATCH_SIZE, BATCH_SIZE))
        tables = {MZPIPE: tiered, RAW: raw}
        every = [Contestant(name, stacks(table, episodes, batches)) for name, table in tables.items()]
        rows += rows_of(f"replay/compressed/{game}", "stacks/s", rates_of(every, BATCH_SIZE, rounds))
        notes.append(f"{game}, played at random: frames compressed {tier.ratio:.0f} times; good play is more varied")
    return rows, notes


def stacks(table: Table, episodes: Episodes, batches: np.ndarray) -> Callable[[], np.ndarray]:
    """A function that returns the stacks of one batch of steps after another."""
    gatherer, turns = Gatherer(table, discount=DISCOUNT, td_steps=TD_STEPS), itertools.cycle(batches)
    slots = ring_slots(episodes, batches.shape[1])

    def call() -> np.ndarray:
        observation_B = next(slots).unrolls.observation
        gatherer.stacks(next(turns), observation_B)
        return observation_B

    return call


def compare_insertion(rounds: int) -> list[Comparison]:
    """Compares inserting records into a full table, which removes old ones, with memcpy of their bytes."""
    rng, length = np.random.default_rng(0), _RECORD_LENGTH
    episodes = random_episodes(_INSERT_TRANSITIONS, rng)
    table = make_table(episodes, rng)
    full = (record for record in records(episodes, rng, (length, length)) if record.length[0] == length)
    copies = [copied(record) for record in itertools.islice(full, _RECORDS)]
    nbytes = sum(array.nbytes for array in named(copies[0]).values())
    every = [
        Contestant(MZPIPE, _insert_call(table, copies)),
        Contestant(WHOLE, _copy_call(nbytes, len(copies), _INSERT_TRANSITIONS // length)),
    ]
    return rows_of(f"replay/insert/{length}", "MB/s", rates_of(every, nbytes / 1e6, rounds))


def _insert_call(table: Table, copies: list[Trajectory]) -> Callable[[], object]:
    turns = itertools.cycle(copies)
    return lambda: table.insert(next(turns), actor=0, epoch=0)


def _copy_call(nbytes: int, num_sources: int, num_targets: int) -> Callable[[], object]:
    sources = itertools.cycle(np.ones((num_sources, nbytes), np.uint8))
    targets = itertools.cycle(np.ones((num_targets, nbytes), np.uint8))
    return lambda: np.copyto(next(targets), next(sources))
