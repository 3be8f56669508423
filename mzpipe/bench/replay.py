"""The case `replay`: batches out of the table, priorities, compressed frames and insertion, each beside its reference.

Shape legend    B positions of a batch   N places of a sum-tree   F frames played
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..config import GameConfig
from ..games.registry import make_game
from ..replay.compressed import INDEX_BYTES_PER_STEP
from ..replay.gather import Gatherer
from ..replay.sizes import bytes_per_transition
from ..replay.sum_tree import SumTree
from ..replay.table import Table
from . import replay_references as references
from .machine import one_core
from .registry import Progress
from .replay_references import ALPHA, BETA, DISCOUNT, NUM_ACTIONS, TD_STEPS, TRAJECTORY_LENGTHS, Episodes
from .report import CaseResult, Comparison, Measured, Panel
from .timing import Contestant, turn_about

MZPIPE, NUMPY, CPPRB, RAW = "mzpipe", "numpy", "cpprb", "raw frames"
PIECES, WHOLE = "memcpy in pieces", "memcpy in one piece"
_ROUNDS, _QUICK_ROUNDS = 5, 2
_BATCH_SIZES, _BATCH_SIZE = (32, 64, 128, 256, 512, 1024), 256
_TRANSITIONS, _SMALLER, _QUICK_TRANSITIONS = 60_000, (1_000, 4_000, 15_000), 8_000
_FRAME_SHAPE = (1, 84, 84)
# Positions drawn before the clock starts: their stacks fill a cache of 32 MB many times over.
_POSITIONS = 16_384
_PLACES = 1 << 20
_GAMES, _FRAMES, _QUICK_FRAMES = ("Pong", "Seaquest"), 8_192, 2_048
_RECORD_LENGTH, _RECORDS, _INSERT_TRANSITIONS = 64, 16, 16_384
_NO_CPPRB = "cpprb is not installed, its rows are left out: pip install -e '.[bench]' -c constraints.txt"


class Shape(NamedTuple):
    """Positions of a batch, and transitions of the table that it is drawn from."""

    batch_size: int
    num_transitions: int

    def __str__(self) -> str:
        return f"{self.batch_size}x{self.num_transitions}"


class Stock(NamedTuple):
    """The same transitions, stored by everybody."""

    episodes: Episodes
    table: Table
    cpprb: Any | None


# MB/s, or whatever a part counts, by contestant.
Rates = dict[str, Measured]
Draw = Callable[[], tuple[np.ndarray, np.ndarray]]
Update = Callable[[np.ndarray, np.ndarray], object]


def measure(*, quick: bool, progress: Progress) -> CaseResult:
    """Times every contestant in every part; quick: two shapes, smaller tables, two rounds."""
    todo, rounds = shapes(quick), _QUICK_ROUNDS if quick else _ROUNDS
    total, gathers = len(todo) + 3, dict[Shape, Rates]()
    with one_core():
        cpprb = references.load_cpprb()
        for shape, stock in _stocked(todo, cpprb):
            progress(len(gathers), total, f"batch {shape}")
            megabytes = references.batch_bytes(stock.episodes, shape.batch_size) / 1e6
            gathers[shape] = _rates(contestants(stock, shape.batch_size), megabytes, rounds)
        progress(total - 3, total, "sum-tree")
        rows = compare_sampling(cpprb, _PLACES, rounds)
        progress(total - 2, total, "compressed frames")
        compressed, notes = compare_compressed(_QUICK_FRAMES if quick else _FRAMES, rounds)
        progress(total - 1, total, "insertion")
        rows += [*compressed, *compare_insertion(rounds)]
    batches = [row for shape, rates in gathers.items() for row in _rows(f"replay/batch/{shape}", "MB/s", rates)]
    return CaseResult(batches + rows, ([] if cpprb else [_NO_CPPRB]) + notes, _panels(gathers))


def shapes(quick: bool) -> list[Shape]:
    """The line over batch sizes, then the line over smaller tables."""
    if quick:
        return [Shape(128, _QUICK_TRANSITIONS), Shape(_BATCH_SIZE, _QUICK_TRANSITIONS)]
    return [Shape(size, _TRANSITIONS) for size in _BATCH_SIZES] + [Shape(_BATCH_SIZE, few) for few in _SMALLER]


def make_stock(num_transitions: int, cpprb: Any | None) -> Stock:
    """Random frames, random episodes, in a table and, where it is there, in cpprb's buffer."""
    rng = np.random.default_rng(0)
    episodes = references.make_episodes(rng.integers(0, 256, (num_transitions, *_FRAME_SHAPE), np.uint8), rng)
    theirs = references.cpprb_buffer(cpprb, episodes) if cpprb else None
    return Stock(episodes, references.make_table(episodes, rng), theirs)


def contestants(stock: Stock, batch_size: int) -> list[Contestant]:
    """Everybody who gathers batches of this size."""
    episodes, num_batches = stock.episodes, max(1, _POSITIONS // batch_size)
    every = [
        Contestant(MZPIPE, gather(stock, batch_size, num_batches)),
        Contestant(PIECES, references.memcpy_pieces(episodes, batch_size, num_batches, seed=1)),
        Contestant(WHOLE, references.memcpy_whole(episodes, batch_size, num_batches, seed=2)),
        Contestant(NUMPY, _numpy_gather(stock, batch_size, num_batches)),
    ]
    if stock.cpprb is not None:
        every.append(Contestant(CPPRB, partial(stock.cpprb.sample, batch_size)))
    return every


def gather(stock: Stock, batch_size: int, num_batches: int) -> Callable[[], references.Slot]:
    """What the replay server does for a batch between claim and commit; returns the slot."""
    gatherer = Gatherer(stock.table, discount=DISCOUNT, td_steps=TD_STEPS)
    slots = references.ring_slots(stock.episodes, batch_size)
    batches = itertools.cycle(_steps(stock.table.size, (num_batches, batch_size)))
    td_steps_B, weight_B = np.full(batch_size, TD_STEPS), np.ones(batch_size, np.float32)

    def call() -> references.Slot:
        slot = next(slots)
        gatherer.fill(slot, next(batches), td_steps_B, 7)
        slot["weight"][:] = weight_B
        return slot

    return call


def _numpy_gather(stock: Stock, batch_size: int, num_batches: int) -> Callable[[], object]:
    slots, rng = references.ring_slots(stock.episodes, batch_size), np.random.default_rng(0)
    batches = itertools.cycle(_steps(stock.table.size, (num_batches, batch_size)))
    return lambda: references.numpy_gather(stock.episodes, next(batches), next(slots), rng)


def compare_sampling(cpprb: Any | None, num_places: int, rounds: int) -> list[Comparison]:
    """Draws with importance weights, updates, and both in turn as a learner step asks for them."""
    rng = np.random.default_rng(0)
    priority_N, priority_B = rng.exponential(size=num_places), rng.exponential(size=_BATCH_SIZE)
    turns = itertools.cycle(rng.integers(0, num_places, (_POSITIONS // _BATCH_SIZE, _BATCH_SIZE)))
    samplers = {
        MZPIPE: tree_sampler(SumTree(num_places), priority_N),
        NUMPY: tree_sampler(references.NumpyTree(num_places), priority_N),
    }
    if cpprb:
        samplers[CPPRB] = _cpprb_sampler(cpprb, priority_N)
    draws = [Contestant(name, draw) for name, (draw, _) in samplers.items()]
    # An assignment is all that numpy's update is: its cost is in the draw.
    updates = [
        Contestant(name, partial(lambda update: update(next(turns), priority_B), update))
        for name, (_, update) in samplers.items()
        if name != NUMPY
    ]
    both = [
        Contestant(name, partial(lambda draw, update: update(draw()[0], priority_B), draw, update))
        for name, (draw, update) in samplers.items()
    ]
    parts = {"draw": draws, "update": updates, "draw-and-update": both}
    rows = []
    for part, every in parts.items():
        rows += _rows(f"replay/{part}/{num_places}", "positions/s", _rates(every, _BATCH_SIZE, rounds))
    return rows


def tree_sampler(tree: SumTree | references.NumpyTree, priority_N: np.ndarray) -> tuple[Draw, Update]:
    """What PrioritizedSampler does with its tree."""
    rng, num_places = np.random.default_rng(1), len(priority_N)
    tree.set(np.arange(num_places), priority_N**ALPHA)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        place_B = tree.draw(rng.random(_BATCH_SIZE))
        weight_B = (num_places * tree.get(place_B) / tree.total) ** -BETA
        return place_B, (weight_B / weight_B.max()).astype(np.float32)

    return draw, lambda place_B, priority_B: tree.set(place_B, priority_B**ALPHA)


def _cpprb_sampler(cpprb: Any, priority_N: np.ndarray) -> tuple[Draw, Update]:
    buffer = references.cpprb_sampler(cpprb, priority_N)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        sample = buffer.sample(_BATCH_SIZE, beta=BETA)
        return sample["indexes"], sample["weights"]

    return draw, buffer.update_priorities


def compare_compressed(num_frames: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Stacks read from zstd blocks, beside the same stacks from raw frames; and how far the frames were compressed."""
    rows, notes = [], []
    for game in _GAMES:
        rng = np.random.default_rng(0)
        episodes = references.make_episodes(play(game, num_frames), rng)
        raw, tiered = references.make_table(episodes, rng), make_tiered(episodes, rng)
        tier = tiered.frames.tier
        assert tier is not None
        batches = _steps(tiered.frames.raw_tail, (num_frames // _BATCH_SIZE, _BATCH_SIZE))
        tables = {MZPIPE: tiered, RAW: raw}
        every = [Contestant(name, stacks(table, episodes, batches)) for name, table in tables.items()]
        rows += _rows(f"replay/compressed/{game}", "stacks/s", _rates(every, _BATCH_SIZE, rounds))
        notes.append(f"{game}, played at random: frames compressed {tier.ratio:.0f} times; good play is more varied")
    return rows, notes


def play(game: str, num_frames: int) -> np.ndarray:
    """Consecutive frames of a game played at random, uint8 [F, 1, 84, 84]."""
    games, rng = make_game(GameConfig(name=game), num_games=1, seed=0), np.random.default_rng(0)
    frames = [games.reset()[0].copy()]
    while len(frames) < num_frames:
        result = games.step(rng.integers(0, games.spec.num_actions, 1))
        over_B = result.terminated_B | result.truncated_B
        frames.append((games.reset(over_B) if over_B.any() else result.frame_BF)[0].copy())
    games.close()
    return np.stack(frames)


def make_tiered(episodes: Episodes, rng: np.random.Generator) -> Table:
    """A table that keeps the frames of all but the newest two trajectories' worth compressed."""
    shape, dtype = episodes.frame_T.shape[1:], episodes.frame_T.dtype.name
    per_transition = bytes_per_transition(shape, dtype, NUM_ACTIONS)
    table = Table(
        capacity_bytes=2 * TRAJECTORY_LENGTHS[1] * per_transition,
        frame_shape=shape,
        frame_dtype=dtype,
        num_actions=NUM_ACTIONS,
        trajectory_length=TRAJECTORY_LENGTHS[1],
        compressed_bytes=len(episodes.frame_T) * (per_transition + INDEX_BYTES_PER_STEP),
    )
    return references.fill(table, episodes, rng)


def stacks(table: Table, episodes: Episodes, batches: np.ndarray) -> Callable[[], np.ndarray]:
    """Stacks of one batch of steps after the other; returns them."""
    gatherer, turns = Gatherer(table, discount=DISCOUNT, td_steps=TD_STEPS), itertools.cycle(batches)
    slots = references.ring_slots(episodes, batches.shape[1])

    def call() -> np.ndarray:
        observation_B = next(slots)["observation"]
        gatherer.stacks(next(turns), observation_B)
        return observation_B

    return call


def compare_insertion(rounds: int) -> list[Comparison]:
    """Records into a full table, so that each removes old ones, beside memcpy of their bytes into as much memory."""
    rng, length = np.random.default_rng(0), _RECORD_LENGTH
    episodes = references.make_episodes(rng.integers(0, 256, (_INSERT_TRANSITIONS, *_FRAME_SHAPE), np.uint8), rng)
    table = references.make_table(episodes, rng)
    records = (
        record for record in references.records(episodes, rng, (length, length)) if record["length"][0] == length
    )
    copies = [{name: array.copy() for name, array in record.items()} for record in itertools.islice(records, _RECORDS)]
    nbytes = sum(array.nbytes for array in copies[0].values())
    every = [
        Contestant(MZPIPE, _insert_call(table, copies)),
        Contestant(WHOLE, _copy_call(nbytes, len(copies), _INSERT_TRANSITIONS // length)),
    ]
    return _rows(f"replay/insert/{length}", "MB/s", _rates(every, nbytes / 1e6, rounds))


def _insert_call(table: Table, copies: list[references.Slot]) -> Callable[[], object]:
    turns = itertools.cycle(copies)
    return lambda: table.insert(next(turns), actor=0, epoch=0)


def _copy_call(nbytes: int, num_sources: int, num_targets: int) -> Callable[[], object]:
    sources = itertools.cycle(np.ones((num_sources, nbytes), np.uint8))
    targets = itertools.cycle(np.ones((num_targets, nbytes), np.uint8))
    return lambda: np.copyto(next(targets), next(sources))


def _stocked(todo: list[Shape], cpprb: Any | None) -> Iterator[tuple[Shape, Stock]]:
    """The shapes, each with its stock; one is kept at a time."""
    for num_transitions, group in itertools.groupby(todo, key=lambda shape: shape.num_transitions):
        stock = make_stock(num_transitions, cpprb)
        for shape in group:
            yield shape, stock


def _steps(stop: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(3).integers(0, stop, size)


def _rates(every: list[Contestant], amount: float, rounds: int) -> Rates:
    """What everybody does in a second; `amount` is what one call does."""
    timings = turn_about(every, rounds=rounds).timings
    return {name: Measured(name, amount / timing.seconds, timing.spread) for name, timing in timings.items()}


def _rows(case: str, unit: str, rates: Rates) -> list[Comparison]:
    """Ours beside everybody else."""
    return [Comparison(case, unit, rates[MZPIPE], rates[name]) for name in rates if name != MZPIPE]


def _panels(gathers: dict[Shape, Rates]) -> list[Panel]:
    """Bytes a second against each size, the other one held."""
    most = max(shape.num_transitions for shape in gathers)
    by_batch = {s.batch_size: rates for s, rates in gathers.items() if s.num_transitions == most}
    by_table = {s.num_transitions: rates for s, rates in gathers.items() if s.batch_size == _BATCH_SIZE}
    return [
        _panel("positions of a batch", f"table of {most:,} transitions", by_batch),
        _panel("transitions of the table", f"batches of {_BATCH_SIZE}", by_table),
    ]


def _panel(x_label: str, title: str, rates_at: dict[int, Rates]) -> Panel:
    lines: dict[str, list[tuple[float, float]]] = {}
    for x, rates in sorted(rates_at.items()):
        for name, measured in rates.items():
            lines.setdefault(name, []).append((x, measured.value))
    return Panel(title, x_label, "MB/s", lines)
