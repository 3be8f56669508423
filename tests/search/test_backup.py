"""backup: values, visits and the range of Q, worked by hand; I1 to I3 after whole searches."""

import numpy as np
import pytest

from mzpipe.search import BatchedSearch
from tests.search.driver import Model, quiet_config, random_model, run, tree

UNIFORM = [0.0, 0.0]


def searched(rewards, values, policy_logits, discount, num_actions=2) -> tuple[BatchedSearch, list]:
    """One tree, searched with the outputs of node k at index k."""
    model = Model(
        np.array(rewards, np.float32)[:, None],
        np.array(values, np.float32)[:, None],
        np.array(policy_logits, np.float32).reshape(len(values), 1, num_actions),
    )
    search = BatchedSearch(quiet_config(len(values) - 1, discount=discount), batch_size=1, num_actions=num_actions)
    return search, run(search, model)


def test_search_equals_the_worked_example_when_three_simulations_long():
    # Priors 1/2 everywhere, discount 1/2; exploration(n) is about 1.25 sqrt(n).
    # 1: root, action 0 (tie).   node 1: reward 1, value 2.   Q(0) = 1 + 2/2 = 2, range [2, 2]: not normalised yet.
    # 2: score(0) = 2 + 0.44, score(1) = 0.88: through 0.     at node 1, action 0 (tie): node 2, reward 0, value -4.
    #    G at node 1 = 0 + -4/2 = -2: V(1) = (2 - 2)/2 = 0, Q(0) = 1 + 0 = 1.   Q(node 2) = -2.   range [-2, 2].
    #    G at root = 1 - 1 = 0.
    # 3: score(0) = (1 + 2)/4 + 1.08/3 = 1.11, score(1) = 1.08: through 0 again.
    #    at node 1, exploration(2) = 1.77: score(0) = 0 + 0.88/2, score(1) = 0.88: action 1. node 3: reward 6, value 0.
    #    V(1) = (2 - 2 + 6)/3 = 2, Q(0) = 2.   root: 0.5, then G = 2, 0, 1 + 6/2 = 4: mean of 4 = 1.625.
    search, selected = searched([0, 1, 0, 6], [0.5, 2, -4, 0], [UNIFORM] * 4, discount=0.5)
    assert selected == [([0], [0]), ([1], [0]), ([1], [1])]
    result = search.result()
    assert result.visits_BA.tolist() == [[3, 0]]
    assert result.q_BA.tolist() == [[2.0, 0.0]]
    assert result.root_value_B == pytest.approx([1.625])


def test_backup_turns_values_around_when_the_discount_is_negative():
    # Discount -1. node 1 after action 0: reward 0, value -0.5 for the opponent: Q(0) = +0.5.
    # node 2 after its action 0: the opponent is rewarded 1, value 0: Q = 1 for the opponent, so -1 for the root.
    # V(1) = (-0.5 + 1)/2 = 0.25, Q(0) = -0.25; root = (0 + 0.5 - 1)/3.
    search, selected = searched([0, 0, 1], [0, -0.5, 0], [UNIFORM] * 3, discount=-1.0)
    assert selected == [([0], [0]), ([1], [0])]
    result = search.result()
    assert result.q_BA == pytest.approx(np.array([[-0.25, 0.0]]))
    assert result.root_value_B == pytest.approx([-1 / 6])


def test_q_range_keeps_stale_values_when_a_later_backup_changes_them():
    # Q(0) is 2 at first, then V(1) = (-2 + 1)/2 makes it 0.5; node 2 has Q = 1.
    search, _ = searched([0, 0, 1], [0, -2, 0], [UNIFORM] * 3, discount=-1.0)
    edges_N, nodes_N = tree(search)[:2]
    assert edges_N["q"][1:].tolist() == [0.5, 1.0]
    assert (nodes_N["q_min"][0], nodes_N["q_max"][0]) == (0.5, 2.0)


def test_q_range_leaves_out_the_roots_own_value():
    search, _ = searched([0, 1], [100.0, 0.0], [UNIFORM] * 2, discount=1.0)
    root = tree(search).nodes_N[0]
    assert root["q_min"] == root["q_max"] == 1.0


def test_root_value_includes_the_roots_own_evaluation():
    search, _ = searched([0, 2], [4.0, 0.0], [UNIFORM] * 2, discount=1.0)
    assert search.result().root_value_B.tolist() == [3.0]


def children_of(nodes_N, node: int) -> list[int]:
    return [child for child in range(1, len(nodes_N)) if nodes_N["parent"][child] == node]


@pytest.mark.parametrize("policy", ["puct", "gumbel"])
def test_visits_of_a_node_are_one_more_than_those_below_it_after_any_search(policy):
    search = BatchedSearch(quiet_config(30, policy=policy), batch_size=2, num_actions=3)
    run(search, random_model(7, 31, 2, 3))
    for b in range(2):
        edges_N, nodes_N = tree(search, b)[:2]
        for node in range(31):
            assert edges_N["visits"][node] == 1 + sum(edges_N["visits"][child] for child in children_of(nodes_N, node))


def test_value_of_a_node_is_the_mean_of_its_evaluation_and_the_q_below_after_any_search():
    search = BatchedSearch(quiet_config(30, discount=0.9), batch_size=2, num_actions=3)
    model = random_model(8, 31, 2, 3)
    run(search, model)
    for b in range(2):
        edges_N, nodes_N = tree(search, b)[:2]
        for node in range(31):
            below = children_of(nodes_N, node)
            total = model.value_KB[node, b] + sum(float(edges_N["visits"][c]) * edges_N["q"][c] for c in below)
            assert nodes_N["value"][node] == pytest.approx(total / edges_N["visits"][node], abs=1e-5)
