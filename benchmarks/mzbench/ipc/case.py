"""The case `ipc`: rings, doorbells, lanes and weights between processes, against memcpy, the ping-pong and zmq.

The caller, which measures, has one core for all its threads; its peers have a core each, as long as there are cores.
"""

import os
from collections.abc import Callable
from functools import partial

from mzpipe.measure.machine import one_core

from ..registry import ShapeProgress
from ..report import CaseResult, Comparison
from .doorbell import compare_doorbells, idle_share
from .gather import compare_gather
from .killed import check_records
from .large import compare_large
from .memory import MAX_PAIRS
from .peers import Peers, started_peers
from .ring import compare_small
from .torn import check_weights
from .weights import compare_weights

_ROUNDS, _QUICK_ROUNDS = 7, 3
_READS, _QUICK_READS = 5_000, 500
_KILLS, _QUICK_KILLS = 100, 20
_IDLE_S, _QUICK_IDLE_S = 5.0, 2.0
# Numbers of pairs of processes, and of clients of one server.
_NUMBERS = (1, 2, MAX_PAIRS)

Found = tuple[list[Comparison], list[str]]
Part = Callable[[Peers], Found]


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times all contestants, then runs the checks for torn reads; quick: fewer rounds, reads and kills."""
    todo, cores = parts(quick), os.sched_getaffinity(0)
    rows, notes = list[Comparison](), list[str]()
    progress(0, len(todo), "starting processes")
    with one_core() as core, started_peers([*sorted(cores - {core}), core]) as peers:
        for done, (what, part) in enumerate(todo.items()):
            progress(done, len(todo), what)
            found, more = part(peers)
            rows, notes = rows + found, notes + more
    return CaseResult(rows, notes + _left_out(len(cores)), [])


def parts(quick: bool) -> dict[str, Part]:
    """The parts to measure, in order; the kills come last, because they replace the peers."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    reads, kills = (_QUICK_READS, _QUICK_KILLS) if quick else (_READS, _KILLS)
    every: dict[str, Part] = {
        "small records": partial(compare_small, rounds=rounds),
        "1 MiB records": partial(compare_large, rounds=rounds),
    }
    for number in _NUMBERS:
        every[f"doorbells, {number}"] = partial(compare_doorbells, num_pairs=number, rounds=rounds)
    idle_s = _QUICK_IDLE_S if quick else _IDLE_S
    every["waiting"] = lambda peers: ([], [idle_share(peers, idle_s)])
    for number in _NUMBERS:
        every[f"gather, {number}"] = partial(compare_gather, num_clients=number, rounds=rounds)
    every["weights"] = partial(compare_weights, rounds=rounds)
    every["torn weights"] = lambda peers: ([], [check_weights(peers, reads)])
    every["killed producers"] = lambda peers: ([], [check_records(peers, kills)])
    return every


def _left_out(num_cores: int) -> list[str]:
    return ["there is one core for all processes: every number includes context switches"] if num_cores < 2 else []
