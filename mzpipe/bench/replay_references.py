"""What the case `replay` measures on, and against what: episodes, memcpy, NumPy and, where it is installed, cpprb.

Every reference that gathers writes, or returns, what Gatherer.fill writes, of the same steps.

Shape legend    T transitions   B unrolls   K unroll steps   K1 = K + 1 states   A actions   S frames of a stack
                n rewards of a value target   N places of a sampler
"""

import itertools
import mmap
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..ipc.layout import ArrayLayout
from ..ipc.slots import TERMINATED, TRUNCATED, UNFINISHED, batch_layout, trajectory_layout
from ..replay.sizes import bytes_per_transition
from ..replay.table import Table

NUM_ACTIONS, FRAME_STACK, UNROLL_STEPS, TD_STEPS, DISCOUNT = 18, 4, 5, 5, 0.997
# Of a trajectory and of an episode, in transitions; the last of a table may be shorter.
TRAJECTORY_LENGTHS, EPISODE_LENGTHS = (50, 200), (300, 1500)
SLOTS_OF_THE_RING = 4
ALPHA, BETA = 0.6, 0.4

Slot = dict[str, np.ndarray]


class Episodes(NamedTuple):
    """Transitions side by side, and of each of them where its episode begins, stops, and how that ends."""

    frame_T: np.ndarray
    action_T: np.ndarray
    reward_T: np.ndarray
    root_value_T: np.ndarray
    policy_TA: np.ndarray
    first_T: np.ndarray
    stop_T: np.ndarray
    terminated_T: np.ndarray
    final_value_T: np.ndarray


def make_episodes(frame_T: np.ndarray, rng: np.random.Generator) -> Episodes:
    """Episodes over these frames; everything else is drawn: rewards are rare, every other episode is truncated."""
    total = len(frame_T)
    borders = _borders(0, total, EPISODE_LENGTHS, rng)
    lengths, number = np.diff(borders), np.arange(len(borders) - 1)
    terminated = number % 2 == 0
    final_value = np.where(terminated, 0.0, rng.standard_normal(len(number))).astype(np.float32)
    return Episodes(
        frame_T=frame_T,
        action_T=rng.integers(0, NUM_ACTIONS, total, np.int32),
        reward_T=rng.choice(np.array([-1, 0, 1], np.float32), total, p=[0.02, 0.96, 0.02]),
        root_value_T=rng.standard_normal(total, np.float32),
        policy_TA=rng.dirichlet(np.full(NUM_ACTIONS, 0.3), total).astype(np.float32),
        first_T=np.repeat(borders[:-1], lengths),
        stop_T=np.repeat(borders[1:], lengths),
        terminated_T=np.repeat(terminated, lengths),
        final_value_T=np.repeat(final_value, lengths),
    )


def records(episodes: Episodes, rng: np.random.Generator, lengths: tuple[int, int]) -> Iterator[Slot]:
    """The episodes as trajectory records, the way actors cut them; one buffer serves all records."""
    layout = trajectory_layout(lengths[1], NUM_ACTIONS, episodes.frame_T.shape[1:], episodes.frame_T.dtype.name)
    record = layout.views(bytearray(layout.nbytes))
    first = 0
    while first < len(episodes.frame_T):
        stop = int(episodes.stop_T[first])
        for begin, end in itertools.pairwise(_borders(first, stop, lengths, rng).tolist()):
            _write_record(record, episodes, begin, end)
            yield record
        first = stop


def fill(table: Table, episodes: Episodes, rng: np.random.Generator) -> Table:
    """Inserts all episodes: transition t becomes step t."""
    for record in records(episodes, rng, TRAJECTORY_LENGTHS):
        table.insert(record, actor=0, epoch=0)
    return table


def make_table(episodes: Episodes, rng: np.random.Generator) -> Table:
    """A table that the episodes fill to the last row."""
    shape, dtype = episodes.frame_T.shape[1:], episodes.frame_T.dtype.name
    table = Table(
        capacity_bytes=len(episodes.frame_T) * bytes_per_transition(shape, dtype, NUM_ACTIONS),
        frame_shape=shape,
        frame_dtype=dtype,
        num_actions=NUM_ACTIONS,
        trajectory_length=TRAJECTORY_LENGTHS[1],
    )
    return fill(table, episodes, rng)


def slot_layout(episodes: Episodes, batch_size: int) -> ArrayLayout:
    """A slot of the batch ring."""
    channels, *rest = episodes.frame_T.shape[1:]
    observation_shape = (FRAME_STACK * channels, *rest)
    return batch_layout(batch_size, UNROLL_STEPS, NUM_ACTIONS, observation_shape, episodes.frame_T.dtype.name)


def ring_slots(episodes: Episodes, batch_size: int) -> Iterator[Slot]:
    """Slots of shared memory without end, in a ring's order, every page touched."""
    layout = slot_layout(episodes, batch_size)
    slots = [layout.views(mmap.mmap(-1, layout.nbytes)) for _ in range(SLOTS_OF_THE_RING)]
    for array in itertools.chain.from_iterable(slot.values() for slot in slots):
        array.fill(0)
    return itertools.cycle(slots)


def batch_bytes(episodes: Episodes, batch_size: int) -> int:
    """Bytes of all arrays of one batch."""
    return sum(field.nbytes for field in slot_layout(episodes, batch_size).fields)


def memcpy_pieces(episodes: Episodes, batch_size: int, num_batches: int, seed: int) -> Callable[[], np.ndarray]:
    """Copies as many bytes as a batch has, in a piece per unroll, from random pieces of memory as large as the table.

    np.take along the first axis is a loop around memcpy in C.
    """
    piece_bytes = batch_bytes(episodes, batch_size) // batch_size
    source = np.ones((max(1, episodes.frame_T.nbytes // piece_bytes), piece_bytes), np.uint8)
    targets = _targets((batch_size, piece_bytes))
    places = np.random.default_rng(seed).integers(0, len(source), (num_batches, batch_size))
    turns = itertools.cycle(places)
    return lambda: np.take(source, next(turns), axis=0, out=next(targets), mode="clip")


def memcpy_whole(episodes: Episodes, batch_size: int, num_batches: int, seed: int) -> Callable[[], np.ndarray]:
    """Copies as many bytes as a batch has, in one piece, from random places of memory as large as the table."""
    nbytes = batch_bytes(episodes, batch_size)
    source = np.ones(max(episodes.frame_T.nbytes, nbytes), np.uint8)
    targets = _targets((nbytes,))
    starts = np.random.default_rng(seed).integers(0, len(source) - nbytes + 1, num_batches)
    views = itertools.cycle([source[start : start + nbytes] for start in starts])

    def call() -> np.ndarray:
        target = next(targets)
        np.copyto(target, next(views))
        return target

    return call


def numpy_gather(episodes: Episodes, step_B: np.ndarray, slot: Slot, rng: np.random.Generator) -> None:
    """Fills a slot with index arrays, as one writes it without a compiler; weights are 1."""
    first_B1, stop_B1 = episodes.first_T[step_B, None], episodes.stop_T[step_B, None]
    terminated_B1 = episodes.terminated_T[step_B, None]
    _take_stacks(episodes.frame_T, step_B[:, None] + np.arange(1 - FRAME_STACK, 1), first_B1, slot["observation"])
    state_BK1 = step_B[:, None] + np.arange(UNROLL_STEPS + 1)
    inside_BK1 = state_BK1 < stop_B1
    known_BK1 = inside_BK1 | terminated_B1
    stored_BK1 = np.minimum(state_BK1, stop_B1 - 1)
    value_BK1 = _n_step_values(episodes, stored_BK1, stop_B1[..., None])
    inside_BK, stored_BK = inside_BK1[:, :-1], stored_BK1[:, :-1]
    random_BK = rng.integers(0, NUM_ACTIONS, stored_BK.shape, np.int32)
    slot["value_target"][...] = np.where(inside_BK1, value_BK1, 0.0)
    slot["value_mask"][...] = known_BK1
    slot["policy_target"][...] = np.where(inside_BK1[..., None], episodes.policy_TA[stored_BK1], np.float32(0.0))
    slot["policy_mask"][...] = inside_BK1
    slot["action"][...] = np.where(inside_BK, episodes.action_T[stored_BK], random_BK)
    slot["reward_target"][...] = np.where(inside_BK, episodes.reward_T[stored_BK], np.float32(0.0))
    slot["reward_mask"][...] = known_BK1[:, :-1]
    slot["weight"][...] = 1.0
    slot["generation"][...], slot["slot"][...] = np.divmod(step_B, len(episodes.frame_T))


def load_cpprb() -> Any | None:
    """The module cpprb; None where it is not installed."""
    try:
        return import_module("cpprb")
    except ImportError:
        return None


def cpprb_buffer(cpprb: Any, episodes: Episodes) -> Any:
    """A ReplayBuffer that keeps frames once (stack_compress) and all targets of every transition, worked out before."""
    total, targets = len(episodes.frame_T), _all_targets(episodes)
    channels, *rest = episodes.frame_T.shape[1:]
    fields = {name: {"shape": array.shape[1:] or 1, "dtype": array.dtype} for name, array in targets.items()}
    fields["observation"] = {"shape": (*rest, FRAME_STACK * channels), "dtype": episodes.frame_T.dtype}
    buffer = cpprb.ReplayBuffer(total, fields, stack_compress="observation")
    for first in np.unique(episodes.first_T).tolist():
        steps = np.arange(first, episodes.stop_T[first])
        observation = np.empty((len(steps), FRAME_STACK * channels, *rest), episodes.frame_T.dtype)
        stack_NS = steps[:, None] + np.arange(1 - FRAME_STACK, 1)
        _take_stacks(episodes.frame_T, stack_NS, first, observation)
        buffer.add(
            observation=np.moveaxis(observation, 1, -1), **{name: array[steps] for name, array in targets.items()}
        )
        buffer.on_episode_end()
    return buffer


def cpprb_sampler(cpprb: Any, priority_N: np.ndarray) -> Any:
    """A PrioritizedReplayBuffer with these priorities; it stores one number per place, the least it accepts."""
    buffer = cpprb.PrioritizedReplayBuffer(len(priority_N), {"number": {"dtype": np.int8}}, alpha=ALPHA)
    buffer.add(number=np.zeros(len(priority_N), np.int8), priorities=priority_N)
    return buffer


class NumpyTree:
    """SumTree's methods on a plain array: every draw sums it all, setting is an assignment."""

    def __init__(self, num_places: int) -> None:
        self._weight_N = np.zeros(num_places)
        self.total = 0.0

    def set(self, place_N: np.ndarray, weight_N: np.ndarray) -> None:
        """As SumTree.set."""
        self._weight_N[place_N] = weight_N

    def get(self, place_N: np.ndarray) -> np.ndarray:
        """As SumTree.get."""
        return self._weight_N[place_N]

    def draw(self, uniform_N: np.ndarray) -> np.ndarray:
        """As SumTree.draw; `total` is as of the last draw."""
        sum_N = np.cumsum(self._weight_N)
        self.total = float(sum_N[-1])
        return np.searchsorted(sum_N, uniform_N * self.total, side="right")


def _borders(first: int, stop: int, lengths: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """first, ..., stop, as far apart as `lengths` says; the last two may be closer."""
    borders = [first]
    while borders[-1] < stop:
        borders.append(min(stop, borders[-1] + int(rng.integers(lengths[0], lengths[1] + 1))))
    return np.array(borders)


def _write_record(record: Slot, episodes: Episodes, begin: int, end: int) -> None:
    length, stop = end - begin, int(episodes.stop_T[begin])
    over = TERMINATED if episodes.terminated_T[begin] else TRUNCATED
    numbers = {
        "game": 0,
        "episode": episodes.first_T[begin],
        "offset": begin - episodes.first_T[begin],
        "length": length,
        "end": over if end == stop else UNFINISHED,
        "final_value": episodes.final_value_T[begin] if end == stop else episodes.root_value_T[min(end, stop - 1)],
    }
    for name, number in numbers.items():
        record[name][0] = number
    steps = slice(begin, end)
    record["frame"][:length] = episodes.frame_T[steps]
    record["action"][:length] = episodes.action_T[steps]
    record["reward"][:length] = episodes.reward_T[steps]
    record["root_value"][:length] = episodes.root_value_T[steps]
    record["search_policy"][:length] = episodes.policy_TA[steps]
    record["legal_actions"][:length] = True


def _targets(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Shared memory of as many slots as ring_slots has."""
    nbytes = int(np.prod(shape))
    targets = [np.frombuffer(mmap.mmap(-1, nbytes), np.uint8).reshape(shape) for _ in range(SLOTS_OF_THE_RING)]
    for target in targets:
        target.fill(0)
    return itertools.cycle(targets)


def _take_stacks(frame_T: np.ndarray, frame_BS: np.ndarray, first_B1: Any, observation_B: np.ndarray) -> None:
    """Stacks, oldest frame first; zeros before the episode."""
    out = observation_B.reshape(-1, *frame_T.shape[1:])
    np.take(frame_T, frame_BS.ravel(), axis=0, out=out, mode="clip")
    out[(frame_BS < first_B1).ravel()] = 0


def _n_step_values(episodes: Episodes, state_BK1: np.ndarray, stop_B11: np.ndarray) -> np.ndarray:
    """z of stored states; float64 sums as in mzpipe.targets.n_step."""
    later_BK1n = state_BK1[..., None] + np.arange(TD_STEPS)
    reward_BK1n = np.where(later_BK1n < stop_B11, episodes.reward_T[np.minimum(later_BK1n, stop_B11 - 1)], 0.0)
    stop_B1 = stop_B11[..., 0]
    steps_BK1 = np.minimum(TD_STEPS, stop_B1 - state_BK1)
    last_BK1 = state_BK1 + steps_BK1
    root_BK1 = episodes.root_value_T[np.minimum(last_BK1, stop_B1 - 1)]
    bootstrap_BK1 = np.where(last_BK1 < stop_B1, root_BK1, episodes.final_value_T[state_BK1])
    return reward_BK1n @ DISCOUNT ** np.arange(TD_STEPS) + DISCOUNT**steps_BK1 * bootstrap_BK1


def _all_targets(episodes: Episodes) -> Slot:
    """Every array of a batch but the observations, of all transitions in order."""
    frameless = episodes._replace(frame_T=np.zeros((len(episodes.frame_T), 1), np.uint8))
    layout = slot_layout(frameless, len(frameless.frame_T))
    slot = layout.views(bytearray(layout.nbytes))
    numpy_gather(frameless, np.arange(len(frameless.frame_T)), slot, np.random.default_rng(0))
    del slot["observation"]
    return slot
