"""The case `deep`: one position at a time, searched with a run that comes with mzpipe; leaves in flight against one."""

from collections.abc import Callable
from functools import partial

import numpy as np

from mzpipe.measure.machine import one_core
from mzpipe.trained.direct import DirectPlanner
from mzpipe.trained.observations import BoardHistory
from mzpipe.trained.trained import TrainedAgent, load_trained

from ..rates import Counted, rates_of_counted
from ..registry import ShapeProgress
from ..report import CaseResult, Comparison, Panel

UNIT = "simulations/s"
RUNS = ("connect-four", "tictactoe")
ONE = "one leaf"
_SIMULATIONS, _LEAVES, _QUICK_LEAVES = (200, 800), (4, 8, 16, 32), (16,)
_ROUNDS, _QUICK_ROUNDS = 5, 2
# Plies of the positions that one call searches; none of the games can be over by then.
_PLIES = (0, 2, 4)

Roots = list[tuple[np.ndarray, np.ndarray]]


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times one leaf and several, in turns; quick: 800 simulations, 16 leaves, two rounds."""
    sizes, every = (_SIMULATIONS[-1:], _QUICK_LEAVES) if quick else (_SIMULATIONS, _LEAVES)
    shapes = [(run, num_simulations) for run in RUNS for num_simulations in sizes]
    comparisons: list[Comparison] = []
    panels: list[Panel] = []
    with one_core():
        for done, (run, num_simulations) in enumerate(shapes):
            progress(done, len(shapes), f"{run}x{num_simulations}")
            found = _compare(run, num_simulations, every, _QUICK_ROUNDS if quick else _ROUNDS)
            comparisons += found
            line = [(float(leaves), each.ours.value) for leaves, each in zip(every, found, strict=True)]
            rates = {"mzpipe": [(1.0, found[0].reference.value), *line]}
            panels.append(Panel(f"{run}, {num_simulations} simulations", "leaves in flight", UNIT, rates))
    return CaseResult(comparisons, [], panels)


def _compare(run: str, num_simulations: int, every: tuple[int, ...], rounds: int) -> list[Comparison]:
    """A row for each number of leaves, against one leaf."""
    agent = load_trained(run, None, num_simulations)
    roots, amount = positions(agent), float(num_simulations * len(_PLIES))
    calls = {1: ONE} | {leaves: f"{leaves} leaves" for leaves in every}
    rates = rates_of_counted(
        [Counted(name, _searcher(agent, leaves, roots), amount) for leaves, name in calls.items()], rounds
    )
    return [
        Comparison(f"deep/{run}x{num_simulations}/{leaves}", UNIT, rates[calls[leaves]], rates[ONE]) for leaves in every
    ]


def _searcher(agent: TrainedAgent, leaves: int, roots: Roots) -> Callable[[], object]:
    planner = DirectPlanner(agent, agent.search, num_trees=1, leaves=leaves)
    return partial(_search_all, planner, roots)


def _search_all(planner: DirectPlanner, roots: Roots) -> None:
    for observation_1S, legal_1A in roots:
        planner.search(observation_1S, legal_1A)


def positions(agent: TrainedAgent) -> Roots:
    """The stacked observation and the legal actions of a position for each number of plies, played at random."""
    history, rng = BoardHistory(agent.profile.game), np.random.default_rng(0)
    found: Roots = []
    for plies in _PLIES:
        actions: list[int] = []
        observation_1S, legal_1A = history.replay(actions)
        for _ in range(plies):
            actions.append(int(rng.choice(np.flatnonzero(legal_1A[0]))))
            observation_1S, legal_1A = history.replay(actions)
        found.append((observation_1S.copy(), legal_1A.copy()))
    history.close()
    return found
