"""The case `search`: tree work of a batch of trees, no network; mzpipe, mctx and NumPy take turns on one core."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from mzpipe.config.search import SearchConfig
from mzpipe.measure.machine import one_core
from mzpipe.search import BatchedSearch

from ..registry import ShapeProgress
from ..report import CaseResult, Comparison, Measured, Panel
from ..timing import Contestant, Timing, Turns, turn_about
from . import mctx_reference, numpy_search
from .search_models import DEFAULT_SIMULATIONS, PRIORS, Outputs, Shape, random_outputs

UNIT = "simulations/s"
PUCT, SIBLINGS, GUMBEL, NUMPY = "mzpipe pUCT", "mzpipe pUCT, siblings", "mzpipe Gumbel", "numpy"
_ROUNDS, _QUICK_ROUNDS = 5, 2
_NUM_TREES, _NUM_ACTIONS, _NUM_SIMULATIONS = (1, 16, 64, 256), (6, 18, 81, 362), (25, 50, 100, 200, 400, 800)
# The fixed sizes where only one size varies.
_TREES, _ACTIONS = 64, 18
# mctx's calls grow with about the square of the simulations.
_MAX_MCTX_SIMULATIONS = 200
# Case name, our contestant, and its reference.
_PAIRS = (
    ("puct", PUCT, mctx_reference.MUZERO),
    ("puct", PUCT, NUMPY),
    ("puct-siblings", SIBLINGS, mctx_reference.MUZERO),
    ("gumbel", GUMBEL, mctx_reference.GUMBEL),
)
_NO_MCTX = "mctx is not installed, its rows are left out: pip install -e '.[bench]' -c constraints.txt"


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times every contestant at every shape; quick: two shapes, two rounds."""
    todo, turns = shapes(quick), {}
    with one_core():
        mctx = mctx_reference.load()
        for done, shape in enumerate(todo):
            progress(done, len(todo), str(shape))
            turns[shape] = turn_about(contestants(shape, mctx), rounds=_QUICK_ROUNDS if quick else _ROUNDS)
    notes = [] if mctx else [_NO_MCTX]
    comparisons = [comparison for shape in todo for comparison in _comparisons(shape, turns[shape].timings)]
    return CaseResult(comparisons, notes + _notes(turns), _panels(turns))


def shapes(quick: bool) -> list[Shape]:
    """Every shape once: the grid of trees x actions under both priors, then the line over simulations."""
    if quick:
        return [Shape(1, _ACTIONS), Shape(_TREES, _ACTIONS)]
    grid = [Shape(*sizes) for sizes in itertools.product(_NUM_TREES, _NUM_ACTIONS, PRIORS)]
    line = [Shape(_TREES, _ACTIONS, num_simulations=simulations) for simulations in _NUM_SIMULATIONS]
    return list(dict.fromkeys(grid + line))


def contestants(shape: Shape, mctx: Any | None) -> list[Contestant]:
    """All contestants at this shape, on the same outputs."""
    outputs = random_outputs(shape)
    puct = SearchConfig(num_simulations=shape.num_simulations)
    gumbel = SearchConfig(num_simulations=shape.num_simulations, policy="gumbel")
    siblings = SearchConfig(num_simulations=shape.num_simulations, q_normalization="siblings")
    configs = ((PUCT, puct), (SIBLINGS, siblings), (GUMBEL, gumbel))
    ours = [Contestant(name, _batched(config, outputs)) for name, config in configs]
    theirs = []
    if mctx and shape.num_simulations <= _MAX_MCTX_SIMULATIONS:
        names = (mctx_reference.MUZERO, mctx_reference.GUMBEL)
        theirs = [Contestant(name, mctx_reference.searcher(mctx, name, puct, outputs)) for name in names]
    return [*ours, *theirs, _naive(puct, outputs)]


def _batched(config: SearchConfig, outputs: Outputs) -> Callable[[], object]:
    """One move of a BatchedSearch; the outputs of simulation k are views made here, before the clock starts."""
    _, num_trees, num_actions = outputs.policy_logits_KBA.shape
    search = BatchedSearch(config, batch_size=num_trees, num_actions=num_actions, seed=0)
    root_logits_BA, root_value_B = outputs.policy_logits_KBA[0], outputs.value_KB[0]
    simulations = list(zip(outputs.reward_KB[1:], outputs.value_KB[1:], outputs.policy_logits_KBA[1:], strict=True))

    def call() -> object:
        search.begin(root_logits_BA, root_value_B)
        for reward_B, value_B, logits_BA in simulations:
            search.select()
            search.backup(reward_B, value_B, logits_BA)
        return search.result()

    return call


def _naive(config: SearchConfig, outputs: Outputs) -> Contestant:
    """The NumPy search of all trees; its trial is one tree."""
    rng = np.random.default_rng(0)
    return Contestant(
        NUMPY,
        call=lambda: numpy_search.search_trees(config, outputs, rng),
        trial=lambda: numpy_search.search_tree(config, outputs, 0, rng),
        trial_share=1.0 / outputs.value_KB.shape[1],
    )


def _comparisons(shape: Shape, timings: dict[str, Timing]) -> list[Comparison]:
    """A row per reference that was measured at this shape."""
    return [
        Comparison(f"search/{name}/{shape}", UNIT, _rate(ours, shape, timings), _rate(theirs, shape, timings))
        for name, ours, theirs in _PAIRS
        if ours in timings and theirs in timings
    ]


def _rate(name: str, shape: Shape, timings: dict[str, Timing]) -> Measured:
    simulations = shape.num_trees * shape.num_simulations
    return Measured(name, simulations / timings[name].seconds, timings[name].spread)


def _notes(turns: dict[Shape, Turns]) -> list[str]:
    """Lines for contestants that were too slow at a shape, and for those without a reference."""
    slow = [line for shape, each in turns.items() for line in each.left_out(str(shape))]
    return slow + [
        f"{name} at {shape} has no reference: {_rate(name, shape, timings).value:,.0f} {UNIT}"
        for shape, (timings, _) in turns.items()
        for name in (PUCT, SIBLINGS, GUMBEL)
        if name in timings and not any(ours == name and theirs in timings for _, ours, theirs in _PAIRS)
    ]


def _panels(turns: dict[Shape, Turns]) -> list[Panel]:
    """Cost per simulation with peaked priors, over one size at a time."""
    fixed = f"{DEFAULT_SIMULATIONS} simulations, peaked priors"
    return [
        _panel(turns, "actions", f"{_TREES} trees, {fixed}", lambda s: s.num_actions),
        _panel(turns, "trees", f"{_ACTIONS} actions, {fixed}", lambda s: s.num_trees),
        _panel(
            turns, "simulations", f"{_TREES} trees x {_ACTIONS} actions, peaked priors", lambda s: s.num_simulations
        ),
    ]


def _panel(turns: dict[Shape, Turns], x_label: str, title: str, size: Callable[[Shape], int]) -> Panel:
    field = f"num_{x_label}"
    usual = Shape(_TREES, _ACTIONS)
    along = [shape for shape in turns if shape == usual._replace(**{field: getattr(shape, field)})]
    lines: dict[str, list[tuple[float, float]]] = {}
    for shape in sorted(along, key=size):
        timings = turns[shape].timings
        for name in timings:
            lines.setdefault(name, []).append((size(shape), 1e9 / _rate(name, shape, timings).value))
    return Panel(title, x_label, "ns per simulation", lines)
