"""The case `replay`: batches, priorities, compressed frames, insertion and handing out, each against its reference.

Shape legend    B positions of a batch
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mzpipe.ipc.schema import BatchSlot
from mzpipe.measure.machine import one_core
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.table import Table

from ..rates import MZPIPE, Rates, rates_of, rows_of
from ..registry import ShapeProgress
from ..report import CaseResult, Panel
from ..timing import Contestant
from .cpprb import cpprb_buffer, load_cpprb
from .episodes import Episodes, random_episodes
from .handoff import compare_handoff
from .rates import CPPRB, NUMPY, PIECES, WHOLE, panel_of
from .references import memcpy_pieces, memcpy_whole, numpy_gather
from .sampling import compare_sampling
from .storage import compare_compressed, compare_insertion
from .tables import BATCH_SIZE, DISCOUNT, POSITIONS, TD_STEPS, batch_bytes, drawn_steps, make_table, ring_slots

_ROUNDS, _QUICK_ROUNDS = 5, 2
_BATCH_SIZES = (32, 64, 128, 256, 512, 1024)
_TRANSITIONS, _SMALLER, _QUICK_TRANSITIONS = 60_000, (1_000, 4_000, 15_000), 8_000
_PLACES = 1 << 20
_FRAMES, _QUICK_FRAMES = 8_192, 2_048
_HANDED_OUT, _QUICK_HANDED_OUT = 16_384, 4_096
_NO_CPPRB = "cpprb is not installed, its rows are left out: pip install -e '.[bench]' -c constraints.txt"


class Shape(NamedTuple):
    """Positions of a batch, and transitions of the table that it is drawn from."""

    batch_size: int
    num_transitions: int

    def __str__(self) -> str:
        return f"{self.batch_size}x{self.num_transitions}"


class Stock(NamedTuple):
    """The same transitions, stored by all contestants."""

    episodes: Episodes
    table: Table
    cpprb: Any | None


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times every contestant in every part; quick: two shapes, smaller tables, two rounds."""
    todo, rounds = shapes(quick), _QUICK_ROUNDS if quick else _ROUNDS
    total, gathers = len(todo) + 4, dict[Shape, Rates]()
    with one_core():
        cpprb = load_cpprb()
        for shape, stock in _stocked(todo, cpprb):
            progress(len(gathers), total, f"batch {shape}")
            megabytes = batch_bytes(stock.episodes, shape.batch_size) / 1e6
            gathers[shape] = rates_of(contestants(stock, shape.batch_size), megabytes, rounds)
        progress(total - 4, total, "sum-tree")
        rows = compare_sampling(cpprb, _PLACES, rounds)
        progress(total - 3, total, "compressed frames")
        compressed, notes = compare_compressed(_QUICK_FRAMES if quick else _FRAMES, rounds)
        progress(total - 2, total, "insertion")
        rows += [*compressed, *compare_insertion(rounds)]
        progress(total - 1, total, "handing out")
        handed_out, sizes = compare_handoff(_QUICK_HANDED_OUT if quick else _HANDED_OUT, rounds)
        rows, notes = rows + handed_out, notes + sizes
    batches = [row for shape, rates in gathers.items() for row in rows_of(f"replay/batch/{shape}", "MB/s", rates)]
    return CaseResult(batches + rows, ([] if cpprb else [_NO_CPPRB]) + notes, _panels(gathers))


def shapes(quick: bool) -> list[Shape]:
    """The shapes of the line over batch sizes, then of the line over smaller tables."""
    if quick:
        return [Shape(128, _QUICK_TRANSITIONS), Shape(BATCH_SIZE, _QUICK_TRANSITIONS)]
    return [Shape(size, _TRANSITIONS) for size in _BATCH_SIZES] + [Shape(BATCH_SIZE, few) for few in _SMALLER]


def _stocked(todo: list[Shape], cpprb: Any | None) -> Iterator[tuple[Shape, Stock]]:
    """The shapes, each with its stock; only one stock exists at a time."""
    for num_transitions, group in itertools.groupby(todo, key=lambda shape: shape.num_transitions):
        stock = make_stock(num_transitions, cpprb)
        for shape in group:
            yield shape, stock


def make_stock(num_transitions: int, cpprb: Any | None) -> Stock:
    """Random frames and random episodes, in a table and, if cpprb is installed, in its buffer."""
    rng = np.random.default_rng(0)
    episodes = random_episodes(num_transitions, rng)
    theirs = cpprb_buffer(cpprb, episodes) if cpprb else None
    return Stock(episodes, make_table(episodes, rng), theirs)


def contestants(stock: Stock, batch_size: int) -> list[Contestant]:
    """All contestants that gather batches of this size."""
    episodes, num_batches = stock.episodes, max(1, POSITIONS // batch_size)
    every = [
        Contestant(MZPIPE, gather(stock, batch_size, num_batches)),
        Contestant(PIECES, memcpy_pieces(episodes, batch_size, num_batches, seed=1)),
        Contestant(WHOLE, memcpy_whole(episodes, batch_size, num_batches, seed=2)),
        Contestant(NUMPY, _numpy_gather(stock, batch_size, num_batches)),
    ]
    if stock.cpprb is not None:
        every.append(Contestant(CPPRB, partial(stock.cpprb.sample, batch_size)))
    return every


def gather(stock: Stock, batch_size: int, num_batches: int) -> Callable[[], BatchSlot]:
    """Does the replay server's work for a batch between claim and commit; returns the slot."""
    gatherer = Gatherer(stock.table, discount=DISCOUNT, td_steps=TD_STEPS)
    slots = ring_slots(stock.episodes, batch_size)
    batches = itertools.cycle(drawn_steps(stock.table.size, (num_batches, batch_size)))
    td_steps_B, weight_B = np.full(batch_size, TD_STEPS), np.ones(batch_size, np.float32)

    def call() -> BatchSlot:
        slot = next(slots)
        gatherer.fill(slot, next(batches), td_steps_B, 7)
        slot.unrolls.weight_B[:] = weight_B
        return slot

    return call


def _numpy_gather(stock: Stock, batch_size: int, num_batches: int) -> Callable[[], object]:
    slots, rng = ring_slots(stock.episodes, batch_size), np.random.default_rng(0)
    batches = itertools.cycle(drawn_steps(stock.table.size, (num_batches, batch_size)))
    return lambda: numpy_gather(stock.episodes, next(batches), next(slots), rng)


def _panels(gathers: dict[Shape, Rates]) -> list[Panel]:
    """Bytes per second over each size, with the other one fixed."""
    most = max(shape.num_transitions for shape in gathers)
    by_batch = {s.batch_size: rates for s, rates in gathers.items() if s.num_transitions == most}
    by_table = {s.num_transitions: rates for s, rates in gathers.items() if s.batch_size == BATCH_SIZE}
    return [
        panel_of("positions of a batch", f"table of {most:,} transitions", by_batch),
        panel_of("transitions of the table", f"batches of {BATCH_SIZE}", by_table),
    ]
