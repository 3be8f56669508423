"""DeepMind's golden trees, from the test data that mctx ships: the search must grow the very same trees.

A golden tree tells what the network said at each of its nodes (prior, raw value, reward) and in which order they were
expanded, so it can stand in for the network: every edge that the search selects must be the one the golden tree
expanded at that simulation.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from tests.search.driver import tree

NAMES = ("muzero_tree", "muzero_qtransform_tree", "gumbel_muzero_tree", "gumbel_muzero_reward_tree")
QTRANSFORMS = {
    "qtransform_by_min_max": lambda kwargs: {
        "q_normalization": "bounds",
        "q_bounds": (kwargs["min_value"], kwargs["max_value"]),
    },
    "qtransform_by_parent_and_siblings": lambda kwargs: {"q_normalization": "siblings"},
    "qtransform_completed_by_mix_value": lambda kwargs: kwargs,
}
SETTINGS = ("pb_c_init", "pb_c_base", "max_num_considered_actions", "gumbel_scale")


def load(name: str) -> dict:
    """One golden tree with the settings that grew it; skips where mctx is not installed."""
    try:
        shipped = files("mctx") or []
    except PackageNotFoundError:
        pytest.skip("mctx is not installed, and the golden trees come with it: pip install mctx")
    (path,) = [path for path in shipped if path.name == f"{name}.json"]
    return json.loads(path.read_text())


def config_of(golden: dict) -> SearchConfig:
    """Our settings for the search that grew a golden tree."""
    theirs = golden["algorithm_config"]
    return SearchConfig(
        num_simulations=golden["tree"]["visit"] - 1,
        discount=golden["env_config"]["discount"],
        policy="gumbel" if golden["algorithm"] == "gumbel_muzero" else "puct",
        root_exploration_fraction=theirs.get("dirichlet_fraction", 0.0),
        **{name: type(getattr(SearchConfig, name))(theirs[name]) for name in SETTINGS if name in theirs},
        **QTRANSFORMS[theirs["qtransform"]](theirs["qtransform_kwargs"]),
    )


def nodes_in_order(root: dict) -> list[dict]:
    """The expanded nodes by evaluation index, each with the index of its parent added."""
    found, pending = {}, [(root, -1)]
    while pending:
        node, parent = pending.pop()
        found[node["evaluation_index"]] = node | {"parent": parent}
        pending += [(child, node["evaluation_index"]) for child in node["child_stats"] if "visit" in child]
    return [found[index] for index in range(len(found))]


def logits_of(node: dict) -> np.ndarray:
    """Logits that give the prior of a golden node's edges."""
    prior_1A = np.array([[child["prior"] for child in node["child_stats"]]], np.float64)
    # What is impossible is an edge of the other kind, in a tree with chance, whose logit is not read.
    return np.where(prior_1A > 0.0, np.log(np.maximum(prior_1A, np.finfo(np.float64).tiny)), 7.0).astype(np.float32)


def one(number: float) -> np.ndarray:
    return np.array([number], np.float32)


def assert_grows(golden: dict) -> None:
    """The search selects the golden tree's edges in the golden order, and ends with its visits and values."""
    nodes = nodes_in_order(golden["tree"])
    num_codes = golden.get("num_codes", 0)
    num_actions = len(nodes[0]["child_stats"]) - num_codes
    search = BatchedSearch(config_of(golden), batch_size=1, num_actions=num_actions, num_codes=num_codes)
    legal_actions = golden.get("legal_actions", [True] * search.num_actions)
    search.begin(logits_of(nodes[0]), one(nodes[0]["raw_value_view"]), np.array([legal_actions]))
    for k, node in enumerate(nodes[1:], start=1):
        parent_index_B, action_B = search.select()
        assert (k, parent_index_B[0], action_B[0]) == (k, node["parent"], node["action"])
        search.backup(one(node["reward"]), one(node["raw_value_view"]), logits_of(node))
    edges_N, nodes_N = tree(search)[:2]
    assert edges_N["visits"].tolist() == [node["visit"] for node in nodes]
    assert nodes_N["value"] == pytest.approx([node["value_view"] for node in nodes], abs=1e-3)
    np.testing.assert_array_equal(
        search.result().visits_BA[0], [child.get("visit", 0) for child in golden["tree"]["child_stats"]][:num_actions]
    )


@pytest.mark.parametrize("name", NAMES)
def test_search_grows_the_golden_tree(name):
    assert_grows(load(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "gumbel rescaled",
        "gumbel board",
        "gumbel few simulations",
        "muzero siblings",
        "muzero two players",
        "stochastic",
        "stochastic two players",
    ],
)
def test_search_grows_the_trees_that_mctx_grows_now(case):
    if find_spec("mctx") is None:
        pytest.skip("mctx is not installed, and it grows the trees to compare with: pip install mctx")
    command = [sys.executable, "-W", "ignore", "-m", "tests.search.mctx_trees", case]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    grown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=250)
    for golden in json.loads(grown.stdout):
        assert_grows(golden)
