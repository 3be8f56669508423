"""The case `sampled`: whole searches by an mlp whose actions are vectors, against one with a list of as many."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from mzpipe.config import load_profile
from mzpipe.games import describe_game
from mzpipe.measure.machine import one_core
from mzpipe.nets import FlatWeights, Model
from mzpipe.nets.engines.networks import make_networks
from mzpipe.trained.searches import Lockstep

from .rates import Counted, rates_of_counted
from .registry import ShapeProgress
from .report import CaseResult, Comparison, Panel

UNIT = "simulations/s"
SAMPLED, LISTED = "sampled", "a list"
# The profile of both, whose actions are torques of one number: drawn by the network, or a grid of so many.
_PROFILE, _SETTINGS = "pendulum-sampled", {SAMPLED: "sampled_actions", LISTED: "action_bins"}
_NUM_TREES, _QUICK_TREES, _NUM_ACTIONS = (1, 16, 64), (64,), 16
_ROUNDS, _QUICK_ROUNDS = 5, 2


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times both, in turns; quick: 64 trees, two rounds."""
    shapes, found = _QUICK_TREES if quick else _NUM_TREES, []
    with one_core():
        for done, num_trees in enumerate(shapes):
            progress(done, len(shapes), f"{num_trees}x{_NUM_ACTIONS}")
            found.append(_compare(num_trees, _QUICK_ROUNDS if quick else _ROUNDS))
    lines = {
        name: [(float(num_trees), getattr(row, side).value) for num_trees, row in zip(shapes, found, strict=True)]
        for name, side in ((SAMPLED, "ours"), (LISTED, "reference"))
    }
    return CaseResult(found, [], [Panel(f"{_PROFILE}, {_NUM_ACTIONS} actions", "trees", UNIT, lines)])


def _compare(num_trees: int, rounds: int) -> Comparison:
    contestants = [searcher(name, num_trees) for name in (SAMPLED, LISTED)]
    rates = rates_of_counted(contestants, rounds)
    return Comparison(f"sampled/{num_trees}x{_NUM_ACTIONS}", UNIT, rates[SAMPLED], rates[LISTED])


def searcher(name: str, num_trees: int) -> Counted:
    """A search of so many positions with new weights, network and trees."""
    chosen = (f"game.gymnasium.{_SETTINGS[LISTED]}=0", f"game.gymnasium.{_SETTINGS[SAMPLED]}=0")
    profile = load_profile(_PROFILE, (*chosen, f"game.gymnasium.{_SETTINGS[name]}={_NUM_ACTIONS}"))
    spec, nodes = describe_game(profile.game), profile.search.num_simulations + 1
    device, pool_rows = torch.device("cpu"), num_trees * nodes
    (network,) = make_networks(profile, spec, device, count=1, pool_rows=pool_rows, max_batch=num_trees)
    torch.manual_seed(0)
    model = Model(profile.network, spec.observation_shape, spec.num_actions, action_size=spec.action_size)
    network.load(FlatWeights(model).read())
    searches = Lockstep(network, profile.search, num_trees=num_trees, num_actions=spec.num_actions, seed=0)
    observation_BS = np.random.default_rng(0).normal(size=(num_trees, *spec.observation_shape)).astype(np.float32)
    legal_BA = np.ones((num_trees, spec.num_actions), np.bool_)
    return Counted(name, _searching(searches, observation_BS, legal_BA), float(num_trees * (nodes - 1)))


def _searching(searches: Lockstep, observation_BS: np.ndarray, legal_BA: np.ndarray) -> Callable[[], object]:
    return partial(searches.run, observation_BS, legal_BA, lambda: False, None)
