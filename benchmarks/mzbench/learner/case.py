"""The case `learner`: training steps fed from the batch ring, against the step on a resident batch; peek; two ranks."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from mzpipe.measure.machine import one_core
from mzpipe.nets import resolve_devices

from ..rates import MZPIPE, rate, rows_of
from ..registry import ShapeProgress
from ..report import CaseResult, Comparison
from ..timing import Contestant, turn_about
from .feed import fed_learner
from .peek import compare_peek
from .reference import resident_step
from .work import ATARI100K, MLP, RESIDUAL, Work

RESIDENT, ONE_RANK, TWO_RANKS = "resident batch", "one rank", "two ranks"
_MLP_SIZE, _RESIDUAL_SIZE, _QUICK_RESIDUAL_SIZE = 128, 256, 16
_ROUNDS, _QUICK_ROUNDS = 15, 5
# Rounds of the residual network on a CPU, where a step takes seconds.
_SLOW_ROUNDS, _QUICK_SLOW_ROUNDS = 5, 2
# The process waits for the GPU after this many steps; in between the GPU runs asynchronously, as in a run.
_STEPS_PER_WAIT = 16

Found = tuple[list[Comparison], list[str]]


class Shape(NamedTuple):
    """A network, the unrolls of a batch per rank, a device for each rank, and the rounds of measuring."""

    work: Work
    rank_size: int
    devices: tuple[str, ...]
    rounds: int

    def __str__(self) -> str:
        return f"{self.work.name}/{self.rank_size}/{self.devices[0].partition(':')[0]}"


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times both contestants at every shape; quick: fewer rounds, and small batches of images on a CPU."""
    ranked, left_out = rank_shapes(quick)
    todo, cores = [*feed_shapes(quick), *ranked], os.sched_getaffinity(0)
    rows, notes = list[Comparison](), list[str]()
    with one_core() as core, _one_thread():
        for done, shape in enumerate(todo):
            progress(done, len(todo) + 1, f"{shape}{', two ranks' if shape in ranked else ''}")
            compare = compare_ranks if shape in ranked else compare_feed
            found, more = compare(shape, sorted(cores - {core}) or [core])
            rows, notes = rows + found, notes + more
        progress(len(todo), len(todo) + 1, "peek")
        found, more = compare_peek(ATARI100K, _RESIDUAL_SIZE, _QUICK_ROUNDS)
        rows, notes = rows + found, notes + more
    return CaseResult(rows, notes + left_out, [])


def feed_shapes(quick: bool) -> list[Shape]:
    """Both networks on the CPU and, where torch sees one, on the first GPU, there with atari100k's batches too."""
    rounds, slow_rounds = (_QUICK_ROUNDS, _QUICK_SLOW_ROUNDS) if quick else (_ROUNDS, _SLOW_ROUNDS)
    shapes = [
        Shape(MLP, _MLP_SIZE, ("cpu",), rounds),
        Shape(RESIDUAL, _QUICK_RESIDUAL_SIZE if quick else _RESIDUAL_SIZE, ("cpu",), slow_rounds),
    ]
    for device in _gpus()[:1]:
        shapes.append(Shape(MLP, _MLP_SIZE, (device,), rounds))
        shapes += [Shape(work, _RESIDUAL_SIZE, (device,), rounds) for work in (RESIDUAL, ATARI100K)]
    return shapes


def rank_shapes(quick: bool) -> tuple[list[Shape], list[str]]:
    """Two ranks, each on a core or a GPU; and a line for each kind of device of which there are fewer than two."""
    rounds, gpus, cores = _QUICK_ROUNDS if quick else _ROUNDS, _gpus(), len(os.sched_getaffinity(0))
    shapes, notes = [], []
    if cores >= 2:
        shapes.append(Shape(MLP, _MLP_SIZE, ("cpu", "cpu"), rounds))
    else:
        notes.append("two ranks on CPUs are left out: there is one core")
    if len(gpus) >= 2:
        shapes.append(Shape(MLP, _MLP_SIZE, (gpus[0], gpus[1]), rounds))
    elif gpus:
        notes.append("two ranks on GPUs are left out: there is one GPU")
    return shapes, notes


def _gpus() -> list[str]:
    return [device for device in resolve_devices(("auto",)) if device != "cpu"]


def compare_feed(shape: Shape, spare_cores: list[int]) -> Found:
    """Compares steps of a fed learner with steps on a resident batch."""
    case, (device,) = f"learner/feed/{shape}", shape.devices
    resident = resident_step(shape.work, shape.rank_size, device)
    steps = _STEPS_PER_WAIT if device != "cpu" else 1
    with fed_learner(shape.work, shape.rank_size, shape.devices, spare_cores) as fed:
        every = [
            Contestant(MZPIPE, settled(fed.step, steps, device)),
            Contestant(RESIDENT, settled(resident, steps, device)),
        ]
        turns = turn_about(every, rounds=shape.rounds)
        notes = [*turns.left_out(str(shape)), fed.waiting(case)]
    rates = {name: rate(name, steps, timing) for name, timing in turns.timings.items()}
    return rows_of(case, "steps/s", rates), notes


def compare_ranks(shape: Shape, spare_cores: list[int]) -> Found:
    """Compares the samples of two ranks together with those of one, each with the same unrolls per step."""
    case, device = f"learner/ranks/{shape}", shape.devices[0]
    steps = _STEPS_PER_WAIT if device != "cpu" else 1
    work, rank_size, samples = shape.work, shape.rank_size, steps * shape.rank_size
    with (
        fed_learner(work, rank_size, shape.devices[:1], spare_cores) as one,
        fed_learner(work, rank_size, shape.devices, spare_cores) as two,
    ):
        every = [
            Contestant(TWO_RANKS, settled(two.step, steps, device)),
            Contestant(ONE_RANK, settled(one.step, steps, device)),
        ]
        turns = turn_about(every, rounds=shape.rounds)
        notes = [*turns.left_out(str(shape)), one.waiting(f"{case}, {ONE_RANK}"), two.waiting(f"{case}, {TWO_RANKS}")]
    if turns.too_slow:
        return [], notes
    ours = rate(TWO_RANKS, len(shape.devices) * samples, turns.timings[TWO_RANKS])
    theirs = rate(ONE_RANK, samples, turns.timings[ONE_RANK])
    each = f"{case}: {ours.value / len(shape.devices):,.0f} samples/s per rank with two, {theirs.value:,.0f} with one"
    return [Comparison(case, "samples/s", ours, theirs)], [each, *notes]


def settled(step: Callable[[], object], steps: int, device: str) -> Callable[[], None]:
    """Runs this many steps and waits until the device has finished them, before the next contestant."""

    def call() -> None:
        for _ in range(steps):
            step()
        if device != "cpu":
            torch.cuda.synchronize(device)

    return call


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sets one intra-op thread for the one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
