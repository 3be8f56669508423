"""`BatchedSearch.tree` against the linked nodes of the plain-Python twin."""

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.errors import SearchInputError
from mzpipe.search import BatchedSearch
from tests.search.driver import quiet_config, random_model, run, run_naive

SIMULATIONS, TREES, ACTIONS = 24, 2, 5
LEGAL_BA = np.array([[True] * 5, [True, False, True, True, False]])
CONFIGS = {
    "pUCT": quiet_config(SIMULATIONS, discount=-0.9),
    "Gumbel": SearchConfig(num_simulations=SIMULATIONS, policy="gumbel", gumbel_scale=0.0),
    "short rows": quiet_config(SIMULATIONS),
}


def nodes_of_twin(twin):
    """(parent's index, action, node) by index; the root has neither."""
    found, waiting = {0: (-1, -1, twin.root)}, [twin.root]
    while waiting:
        node = waiting.pop()
        for action, child in node.children.items():
            found[child.index] = (node.index, action, child)
            waiting.append(child)
    return [found[index] for index in range(len(found))]


@pytest.mark.parametrize("name", CONFIGS)
def test_tree_holds_the_nodes_of_the_twin_bit_for_bit(name, monkeypatch):
    if name == "short rows":
        monkeypatch.setattr("mzpipe.search.tree.FULL_ROWS_BYTES", 0)
    num_actions = 40 if name == "short rows" else ACTIONS
    legal_BA = None if name == "short rows" else LEGAL_BA
    model = random_model(3, SIMULATIONS + 1, TREES, num_actions)
    search = BatchedSearch(CONFIGS[name], batch_size=TREES, num_actions=num_actions)
    run(search, model, legal_BA)
    for b in range(TREES):
        twin, _ = run_naive(CONFIGS[name], model, b, None if legal_BA is None else legal_BA[b])
        tree, expected = search.tree(b), nodes_of_twin(twin)
        assert list(zip(tree.parent_K.tolist(), tree.action_K.tolist(), strict=True)) == [e[:2] for e in expected]
        for index, (_, _, node) in enumerate(expected):
            assert tree.visits_K[index] == node.visits
            assert tree.value_K[index] == node.value
            assert tree.raw_value_K[index] == node.raw_value
            assert tree.reward_K[index] == node.reward
            assert tree.prior_K[index] == node.prior
            assert tree.q_K[index] == (node.value if index == 0 else twin.q(node))
        assert tree.root_prior_A.tolist() == [twin.root.prior_of(a) for a in range(num_actions)]


def test_tree_is_the_callers_own():
    search = BatchedSearch(quiet_config(4), batch_size=1, num_actions=2)
    run(search, random_model(0, 5, 1, 2))
    before, expected = search.tree(0), search.tree(0)
    run(search, random_model(1, 5, 1, 2))
    for kept, field in zip(before, expected, strict=True):
        np.testing.assert_array_equal(kept, field)


def test_tree_shows_as_many_nodes_as_simulations_are_finished():
    search, model = BatchedSearch(quiet_config(4), batch_size=1, num_actions=2), random_model(0, 5, 1, 2)
    search.begin(model.policy_logits_KBA[0], model.value_KB[0])
    with pytest.raises(SearchInputError, match=r"tree\(\) needs at least one finished simulation"):
        search.tree(0)
    for k in (1, 2):
        search.select()
        search.backup(model.reward_KB[k], model.value_KB[k], model.policy_logits_KBA[k])
    assert len(search.tree(0).visits_K) == 3
    search.select()
    with pytest.raises(SearchInputError, match=r"tree\(\) in the middle of a simulation"):
        search.tree(0)


@pytest.mark.parametrize("b", [-1, 2])
def test_tree_refuses_a_tree_that_there_is_not(b):
    search = BatchedSearch(quiet_config(4), batch_size=2, num_actions=2)
    run(search, random_model(0, 5, 2, 2))
    with pytest.raises(SearchInputError, match=rf"tree\({b}\): there are trees 0 to 1"):
        search.tree(b)
