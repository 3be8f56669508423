"""Several leaves of a tree in one network call, kept subtrees, and limits of time, over a network in this process."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from mzpipe.errors import UsageError
from mzpipe.planning import greedy_search
from mzpipe.trained import direct
from mzpipe.trained.direct import DirectPlanner
from mzpipe.trained.searches import renumbered, usual_leaves
from tests.tiny import make_plane, observations, random_model, tiny_profile
from tests.trained.test_direct import TREES, agent_of

SIMULATIONS = 24
ALL_LEGAL_BA = np.ones((TREES, 2), bool)


@pytest.fixture
def make(tmp_path):
    """Makes planners of one model."""
    profile = tiny_profile(f"search.num_simulations={SIMULATIONS}", "network.value_prefix=true")
    model = random_model(profile, make_plane(tmp_path, profile), 3)

    def planner(**options):
        config = greedy_search(profile.search, 0)
        return DirectPlanner(agent_of(profile, model), config, **{"num_trees": TREES} | options)

    return planner


def test_trees_that_may_be_kept_are_searched_as_in_lockstep_when_they_have_one_leaf(make):
    lockstep, kept = (make(keeps=keeps).search(observations(TREES), ALL_LEGAL_BA) for keeps in (False, True))
    for one, other in zip(lockstep, kept, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_every_tree_has_its_simulations_and_depends_on_no_other_when_leaves_are_in_flight(make):
    planner = make(leaves=4)
    first = planner.search(observations(TREES), ALL_LEGAL_BA)
    assert first.visits_BA.sum(axis=1).tolist() == [SIMULATIONS] * TREES
    turned = planner.search(observations(TREES)[::-1].copy(), ALL_LEGAL_BA)
    np.testing.assert_array_equal(first.visits_BA, turned.visits_BA[::-1])


def path_to(tree, node):
    """The nodes after the root, and the actions, down to `node`."""
    nodes = []
    while node:
        nodes.append(node)
        node = int(tree.parent_K[node])
    return nodes[::-1], tree.action_K[nodes[::-1]]


@pytest.mark.parametrize("leaves", [1, 4])
def test_a_kept_node_keeps_its_hidden_state_and_the_root_has_a_new_one(make, leaves):
    """Over three moves: what the network says of every node is what it says along the actions that lead there."""
    planner = make(num_trees=1, leaves=leaves, keeps=True)
    before, line, num_kept, (first_S, *_) = None, [], 0, observations(3)
    for observation_S in observations(3):
        after = None if before is None else [int(planner.best_action()[0])]
        if after:
            num_kept = int(before.visits_BA[0, after[0]])
            line = [*line, *after]
        before = planner.search(observation_S[None], np.ones((1, 2), bool), after=after)
        tree = planner.tree()
        assert before.visits_BA.sum() == SIMULATIONS and len(tree.parent_K) == SIMULATIONS + 1
        for node in range(1, SIMULATIONS + 1):
            nodes, actions = path_to(tree, node)
            if nodes[0] >= max(num_kept, 1):  # hung on the root of this search
                answer = planner.unroll(observation_S, actions)[-1]
                np.testing.assert_allclose(answer.value_B, tree.raw_value_K[node], rtol=1e-4, atol=1e-5)
            elif len(line) == 1:
                answer = planner.unroll(first_S, np.concatenate([line, actions]).astype(np.int32))[-1]
                np.testing.assert_allclose(answer.value_B, tree.raw_value_K[node], rtol=1e-4, atol=1e-5)


def test_rows_of_kept_nodes_follow_them_and_every_row_has_one_node():
    row_N = np.array([5, 4, 3, 2, 1, 0])
    assert renumbered(row_N, np.array([1, 2, 4])).tolist() == [5, 3, 1, 4, 2, 0]
    assert renumbered(row_N, np.array([0])).tolist() == row_N.tolist()


@pytest.mark.parametrize(("leaves", "searched"), [(1, 3), (4, 9)])
def test_no_call_begins_after_the_limit(make, monkeypatch, leaves, searched):
    """The clock moves on by a second at every look: the limit is set at 0, and reached at the third look after that."""
    planner = make(num_trees=1, leaves=leaves)
    calls = itertools.count()
    monkeypatch.setattr(direct, "time", SimpleNamespace(monotonic=lambda: float(next(calls))))
    result = planner.search(observations(1), np.ones((1, 2), bool), seconds=2.5)
    assert result.visits_BA.sum() == pytest.approx(searched, abs=3 if leaves > 1 else 0)
    assert next(calls) == 4


def test_one_round_is_searched_however_short_the_limit_is(make):
    result = make(num_trees=1, leaves=4).search(observations(1), np.ones((1, 2), bool), seconds=1e-9)
    assert 1 <= result.visits_BA.sum() <= 4


@pytest.mark.parametrize("leaves", [0, -1, SIMULATIONS + 1])
def test_a_number_of_leaves_out_of_range_is_refused(make, leaves):
    with pytest.raises(UsageError, match=f"leaves={leaves} must be at least 1 and at most num_simulations=24"):
        make(leaves=leaves)


def test_usual_leaves_are_one_for_every_fifty_simulations():
    assert [usual_leaves(number) for number in (1, 25, 99, 100, 200, 799, 800, 2000)] == [1, 1, 1, 2, 4, 15, 16, 16]
