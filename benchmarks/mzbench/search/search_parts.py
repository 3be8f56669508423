"""The case `search-parts`: the time of each part of a simulation.

The parts of the fused kernel run one after another as separate kernels, each over the whole batch, and each is timed.
Their total differs from the fused kernel, which is the reference: every part walks through all trees again, so each
tree is fetched from the caches more often. The cost of an empty kernel, which is that of the call, is subtracted from
every part and from the whole.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from mzpipe.config.search import SearchConfig
from mzpipe.measure.machine import one_core
from mzpipe.search import BatchedSearch
from mzpipe.search.backup import backup_path
from mzpipe.search.compiled import kernel
from mzpipe.search.expand import hang_leaf, take_best, write_row
from mzpipe.search.faults import find_fault
from mzpipe.search.gumbel import select_gumbel
from mzpipe.search.halving import name_considered
from mzpipe.search.puct import select_puct
from mzpipe.search.simulate import name_edge
from mzpipe.search.tree import ROOT, header_of, tree_of

from ..registry import ShapeProgress
from ..report import CaseResult, Comparison, Measured
from .search_models import Outputs, Shape, random_outputs

Policy = Literal["puct", "gumbel"]

UNIT = "ns"
_SHAPE = Shape(64, 18)
_MOVES, _QUICK_MOVES = 60, 6


@kernel
def _nothing(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header_of(arena)


@kernel
def _check(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    find_fault(reward_B, value_B, policy_BA, header_of(arena))


@kernel
def _take_edge(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        tree = tree_of(arena, header, b)
        hang_leaf(tree.edges_N, tree.nodes_N, k, reward_B[b], value_B[b])
        if header.num_considered and tree.nodes_N[k].parent == ROOT:
            name_considered(tree, tree.nodes_N[ROOT].best_place + 1)
        else:
            take_best(tree, tree.nodes_N[k].parent)


@kernel
def _keep_policy(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        write_row(tree_of(arena, header, b), k, policy_BA[b], header.from_logits)


@kernel
def _backup(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        tree = tree_of(arena, header, b)
        backup_path(tree.edges_N, tree.nodes_N, k, header.discount)


@kernel
def _select_puct(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        tree = tree_of(arena, header, b)
        select_puct(tree.edges_N, tree.nodes_N, tree.tables_N, header, k + 1)


@kernel
def _select_gumbel(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        tree = tree_of(arena, header, b)
        select_gumbel(tree.edges_N, tree.nodes_N, tree.root_score_A, tree.halving_K, tree.spare_L, header, k + 1)


@kernel
def _weigh_row(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    header = header_of(arena)
    for b in range(header.batch_size):
        name_edge(tree_of(arena, header, b), k + 1, b, header.from_logits, parent_index_B, action_B)


# In the order of the fused kernel.
_PARTS: dict[str, Any] = {
    "check of the outputs": _check,
    "edge taken from its row": _take_edge,
    "policy kept": _keep_policy,
    "backup": _backup,
    "select": None,
    "row weighed, edge named": _weigh_row,
}
_SELECT: dict[Policy, Any] = {"puct": _select_puct, "gumbel": _select_gumbel}


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Nanoseconds per simulation of every part, against the fused kernel's."""
    comparisons, moves = [], _QUICK_MOVES if quick else _MOVES
    with one_core():
        for done, policy in enumerate(_SELECT):
            progress(done, len(_SELECT), policy)
            comparisons += _compare(policy, random_outputs(_SHAPE), moves)
    return CaseResult(comparisons, [], [])


def _compare(policy: Policy, outputs: Outputs, moves: int) -> list[Comparison]:
    """A row per part, and one for a simulation called from Python."""
    config = SearchConfig(num_simulations=_SHAPE.num_simulations, policy=policy)
    search = BatchedSearch(config, batch_size=_SHAPE.num_trees, num_actions=_SHAPE.num_actions, seed=0)
    parts = {**_PARTS, "select": _SELECT[policy]}
    seconds: dict[str, list[float]] = {name: [] for name in (*parts, "whole", "from Python")}
    for _ in range(moves):
        _time_parts(search, outputs, parts, seconds)
        _time_whole(search, outputs, seconds)
    simulations = _SHAPE.num_trees * (_SHAPE.num_simulations - 1)
    whole = _measured("fused kernel", seconds["whole"], simulations)
    return [
        Comparison(f"search-parts/{policy}/{name}", UNIT, _measured(name, times, simulations), whole)
        for name, times in seconds.items()
        if name != "whole"
    ]


def _measured(name: str, seconds: list[float], simulations: int) -> Measured:
    median = statistics.median(seconds[1:])  # the first move compiles
    spread = (max(seconds[1:]) - min(seconds[1:])) / median if median else 0.0
    return Measured(name, median / simulations * 1e9, spread)


def _time_parts(
    search: BatchedSearch, outputs: Outputs, parts: dict[str, Any], seconds: dict[str, list[float]]
) -> None:
    """Times one move part by part, without its last simulation, which selects nothing."""
    search.begin(outputs.policy_logits_KBA[0], outputs.value_KB[0])
    totals = dict.fromkeys(parts, 0.0)
    for k in range(1, _SHAPE.num_simulations):
        call = _call(search, outputs, k)
        empty = _clock(_nothing, call)
        for name, part in parts.items():
            totals[name] += _clock(part, call) - empty
    for name, total in totals.items():
        seconds[name].append(max(total, 0.0))


def _time_whole(search: BatchedSearch, outputs: Outputs, seconds: dict[str, list[float]]) -> None:
    """Times the same move with the fused kernel, and with select and backup."""
    search.begin(outputs.policy_logits_KBA[0], outputs.value_KB[0])
    total = 0.0
    for k in range(1, _SHAPE.num_simulations):
        call = _call(search, outputs, k)
        total += _clock(search._advance, call) - _clock(_nothing, call)
    seconds["whole"].append(total)
    search.begin(outputs.policy_logits_KBA[0], outputs.value_KB[0])
    simulations = list(zip(outputs.reward_KB[1:], outputs.value_KB[1:], outputs.policy_logits_KBA[1:], strict=True))
    start = time.perf_counter()
    for reward_B, value_B, logits_BA in simulations[:-1]:
        search.select()
        search.backup(reward_B, value_B, logits_BA)
    seconds["from Python"].append(time.perf_counter() - start)


def _call(search: BatchedSearch, outputs: Outputs, k: int) -> tuple[np.ndarray | int, ...]:
    """The arguments of a fused kernel at simulation k."""
    network = (outputs.reward_KB[k], outputs.value_KB[k], outputs.policy_logits_KBA[k])
    return (search._arena, k, *network, *search._selection)


def _clock(part: Callable[..., object], call: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    part(*call)
    return time.perf_counter() - start
