"""Several leaves of one tree in flight: against the plain-Python twin, and against the search of one leaf at a time."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.config.search import SearchConfig
from mzpipe.errors import SearchInputError
from mzpipe.search import BatchedSearch, DeepSearch
from mzpipe.search.tree import ILLEGAL
from tests.known import tictactoe
from tests.naive.deep import NaiveDeep
from tests.search.driver import coarse_model, masked_model, peaked_model, quiet_config, random_model, run, tree
from tests.search.test_known_model import compiled_only, policy_logits, rules_config
from tests.search.test_twin import gumbel_options, puct_options, seeds

models = st.sampled_from([random_model, coarse_model, peaked_model])
sizes = st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(1, 9))
options = st.one_of(puct_options, gumbel_options.map(lambda fields: fields | {"gumbel_scale": 0.0}))


def legal_actions(seed, num_actions):
    legal_A = np.random.default_rng(seed).random(num_actions) < 0.7
    legal_A[seed % num_actions] = True
    return legal_A


def outputs(model, first, count):
    """The outputs of nodes first, first + 1, ... of tree 0."""
    return [array[first : first + count, 0].copy() for array in model]


def one_round(search, model):
    """Selects and backs up one round; returns its edges."""
    first, parent_P, action_P = search.select()
    edges = list(zip(parent_P.tolist(), action_P.tolist(), strict=True))
    search.backup(*outputs(model, first, len(edges)))
    return edges


def run_deep(search, model, legal_A=None):
    """Searches one move; returns the edges of every round."""
    search.begin(model.policy_logits_KBA[0, 0], model.value_KB[0, 0], legal_A)
    rounds = []
    while search.left:
        rounds.append(one_round(search, model))
    return rounds


def assert_equal_to_twin(search, twin):
    result = search.result()
    assert result.visits_BA[0].tolist() == twin.visits()
    assert result.q_BA[0].tolist() == twin.root_q()
    assert result.root_value_B[0] == twin.root.value
    assert search.best_action()[0] == twin.best_action()
    assert search.collisions == twin.collisions


def finish_beside_twin(search, twin, model):
    """Searches the simulations that are left in both; AssertionError where they differ."""
    while search.left:
        expected = twin.select_leaves(min(search.leaves, search.left), min(2 * search.leaves, search.left))
        first, parent_P, action_P = search.select()
        assert list(zip(parent_P.tolist(), action_P.tolist(), strict=True)) == expected
        answer = outputs(model, first, len(expected))
        search.backup(*answer)
        twin.backup_leaves(*answer)
        assert not tree(search).nodes_N["pending"][: first + len(expected)].any()
    assert_equal_to_twin(search, twin)


@settings(max_examples=200)
@given(models, seeds, sizes, options, st.booleans())
def test_deep_search_equals_its_twin_on_any_model(make_model, seed, size, fields, masked):
    num_simulations, num_actions, leaves = size[0], size[1], min(size[2], size[0])
    config = quiet_config(num_simulations, **fields)
    model, legal_A = make_model(seed, num_simulations + 1, 1, num_actions), legal_actions(seed, num_actions)
    if masked:
        model = masked_model(model, seed)
        legal_A = model.policy_logits_KBA[0, 0] != ILLEGAL
    search = DeepSearch(config, num_actions=num_actions, leaves=leaves, masked=masked)
    twin = NaiveDeep(config, model.policy_logits_KBA[0, 0], model.value_KB[0, 0], legal_A)
    search.begin(model.policy_logits_KBA[0, 0], model.value_KB[0, 0], legal_A)
    finish_beside_twin(search, twin, model)


@settings(max_examples=150)
@given(models, seeds, sizes, puct_options, st.integers(0, 3))
def test_kept_subtree_equals_its_twin_over_a_game(make_model, seed, size, fields, plies):
    """Three moves, each after `plies` actions, of which the last may not have been visited."""
    num_simulations, num_actions, leaves = size[0], size[1], min(size[2], size[0])
    config, rng = quiet_config(num_simulations, **fields), np.random.default_rng(seed)
    search, twin = DeepSearch(config, num_actions=num_actions, leaves=leaves), None
    after = None
    for move in range(3):
        model = make_model(seed + move, num_simulations + 1, 1, num_actions)
        root = (model.policy_logits_KBA[0, 0], model.value_KB[0, 0], legal_actions(seed + move, num_actions))
        expected = twin.keep(after, *root) if twin else []
        if not expected:
            twin = NaiveDeep(config, *root)
        assert search.begin(*root, after=after).tolist() == (expected or [0])
        finish_beside_twin(search, twin, model)
        after = line_of(search.tree(0), plies, rng) + ([int(rng.integers(num_actions))] if rng.random() < 0.3 else [])


def line_of(read, plies, rng):
    """Up to `plies` actions along visited edges, drawn at random."""
    node, line = 0, []
    for _ in range(plies):
        children_K = np.flatnonzero(read.parent_K == node)
        if not len(children_K):
            break
        node = rng.choice(children_K)
        line.append(int(read.action_K[node]))
    return line


def test_kept_visits_count_as_simulations_of_the_next_search():
    model = random_model(1, 61, 1, 5)
    search = DeepSearch(quiet_config(60), num_actions=5, leaves=4)
    run_deep(search, model)
    best, visits_A = int(search.best_action()[0]), search.result().visits_BA[0]
    kept_K = search.begin(model.policy_logits_KBA[0, 0], 0.5, after=[best])
    assert len(kept_K) == visits_A[best]  # the node itself, and a node for each further visit
    assert search.left == 60 - (visits_A[best] - 1)
    while search.left:
        one_round(search, model)
    assert search.result().visits_BA.sum() == 60


def test_subtree_below_an_illegal_action_is_not_kept():
    model = random_model(1, 61, 1, 5)
    search = DeepSearch(quiet_config(60), num_actions=5, leaves=4)
    run_deep(search, model)
    best, read = int(search.best_action()[0]), search.tree(0)
    node = int(np.flatnonzero((read.parent_K == 0) & (read.action_K == best))[0])
    (illegal, *_) = read.action_K[read.parent_K == node]
    legal_A = np.arange(5) != illegal
    search.begin(model.policy_logits_KBA[0, 0], 0.5, legal_A, after=[best])
    while search.left:
        one_round(search, model)
    assert search.result().visits_BA[0, illegal] == 0


def test_a_bad_root_leaves_the_kept_search_as_it_was():
    model = random_model(1, 21, 1, 3)
    search = DeepSearch(quiet_config(20), num_actions=3, leaves=4)
    run_deep(search, model)
    before = search.tree(0)
    with pytest.raises(SearchInputError, match="no legal action"):
        search.begin(model.policy_logits_KBA[0, 0], 0.5, np.zeros(3, bool), after=[int(search.best_action()[0])])
    for one, other in zip(before, search.tree(0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_gumbel_refuses_to_keep_a_subtree():
    search = DeepSearch(quiet_config(4, policy="gumbel", gumbel_scale=0.0), num_actions=3, leaves=2)
    with pytest.raises(SearchInputError, match=r"search\.policy='gumbel' with after"):
        search.begin(np.zeros(3, np.float32), 0.0, after=[0])


@settings(max_examples=60)
@given(models, seeds, sizes, options)
def test_deep_search_with_one_leaf_is_the_batched_search_bit_for_bit(make_model, seed, size, fields):
    num_simulations, num_actions, _ = size
    config = quiet_config(num_simulations, **fields)
    model, legal_A = make_model(seed, num_simulations + 1, 1, num_actions), legal_actions(seed, num_actions)
    deep = DeepSearch(config, num_actions=num_actions, leaves=1)
    batched = BatchedSearch(config, batch_size=1, num_actions=num_actions)
    edges = [(parent, action) for ((parent,), (action,)) in run(batched, model, legal_A[None])]
    assert [edge for (edge,) in run_deep(deep, model, legal_A)] == edges
    for one, other in zip(deep.result(), batched.result(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(deep.tree(0), batched.tree(0), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", ["puct", "gumbel"])
def test_visits_of_a_deep_search_are_its_simulations(policy):
    search = DeepSearch(quiet_config(60, policy=policy, gumbel_scale=0.0), num_actions=5, leaves=16)
    rounds = run_deep(search, random_model(1, 61, 1, 5))
    assert search.result().visits_BA.sum() == sum(map(len, rounds)) == 60
    read = search.tree(0)
    children_K = np.bincount(read.parent_K[1:], read.visits_K[1:], minlength=61)
    np.testing.assert_array_equal(read.visits_K, 1 + children_K)
    assert len(rounds) == search.rounds < 60


def test_no_leaf_is_selected_twice_in_a_round_that_has_nowhere_else_to_go():
    """One legal action everywhere: the tree is a line, and a round has one leaf."""
    search = DeepSearch(quiet_config(12), num_actions=1, leaves=4)
    assert [len(edges) for edges in run_deep(search, random_model(2, 13, 1, 1))] == [1] * 12
    assert search.collisions == 7 * 5 + sum(range(7))  # eight walks a round, but no more than simulations left


def test_bad_outputs_change_nothing_and_name_the_row():
    model = random_model(3, 30, 1, 4)
    search, undisturbed = (DeepSearch(quiet_config(20), num_actions=4, leaves=4) for _ in range(2))
    search.begin(model.policy_logits_KBA[0, 0], model.value_KB[0, 0])
    one_round(search, model)
    first, parent_P, _ = search.select()
    bad = outputs(model, first, len(parent_P))
    bad[1][-1] = np.nan
    with pytest.raises(SearchInputError, match=rf"value_B\[{len(parent_P) - 1}\] is NaN or infinite"):
        search.backup(*bad)
    search.backup(*outputs(model, first, len(parent_P)))
    while search.left:
        one_round(search, model)
    run_deep(undisturbed, model)
    np.testing.assert_array_equal(search.result().visits_BA, undisturbed.result().visits_BA)


@pytest.mark.parametrize(
    ("config", "leaves", "words"),
    [
        (quiet_config(8), 0, "leaves=0 must be at least 1 and at most num_simulations=8"),
        (quiet_config(8), 9, "leaves=9 must be at least 1 and at most num_simulations=8"),
        (SearchConfig(num_simulations=8), 2, "search.root_exploration_fraction=0.25 must be 0"),
        (SearchConfig(num_simulations=8, policy="gumbel"), 2, "search.gumbel_scale=1.0 must be 0"),
    ],
)
def test_deep_search_refuses_in_one_line_that_names_the_field(config, leaves, words):
    with pytest.raises(SearchInputError, match=words):
        DeepSearch(config, num_actions=3, leaves=leaves)


def test_deep_search_refuses_calls_out_of_order():
    search = DeepSearch(quiet_config(2), num_actions=3, leaves=2)
    with pytest.raises(SearchInputError, match="before begin"):
        search.select()
    model = random_model(1, 3, 1, 3)
    search.begin(model.policy_logits_KBA[0, 0], model.value_KB[0, 0])
    with pytest.raises(SearchInputError, match="nothing to back up"):
        search.backup(*outputs(model, 1, 1))
    search.select()
    with pytest.raises(SearchInputError, match="twice in a row"):
        search.select()
    with pytest.raises(SearchInputError, match="in the middle"):
        search.result()
    search.backup(*outputs(model, 1, 2))
    with pytest.raises(SearchInputError, match="after all 2 simulations"):
        search.select()


def moves_by_the_rules(states, leaves, num_simulations=800):
    """The move in each of these positions, searched with the true rules for a model."""
    search = DeepSearch(rules_config(num_simulations), num_actions=tictactoe.NUM_ACTIONS, leaves=leaves)
    chosen = []
    for state in states:
        nodes = [state]
        search.begin(np.array(policy_logits(state), np.float32), 0.0, np.array(tictactoe.legal_actions(state)))
        while search.left:
            _, parent_P, action_P = search.select()
            outcomes = [
                tictactoe.step(nodes[parent], action) for parent, action in zip(parent_P, action_P, strict=True)
            ]
            nodes += [after for _, after in outcomes]
            reward_P = np.array([reward for reward, _ in outcomes], np.float32)
            logits_PA = np.array([policy_logits(after) for _, after in outcomes], np.float32)
            search.backup(reward_P, np.zeros_like(reward_P), logits_PA)
        chosen.append(int(search.best_action()[0]))
    return chosen


def third_plies():
    """Every position after one move of each player."""
    firsts = [tictactoe.step(tictactoe.EMPTY, action)[1] for action in range(tictactoe.NUM_ACTIONS)]
    return [
        tictactoe.step(state, action)[1]
        for state in firsts
        for action, is_legal in enumerate(tictactoe.legal_actions(state))
        if is_legal
    ]


@cache
def outcome(state):
    """The result for the player to move when both play perfectly: 1, 0 or -1."""
    return max((value_of(state, action) for action, legal in enumerate(tictactoe.legal_actions(state)) if legal))


def value_of(state, action):
    reward, after = tictactoe.step(state, action)
    return reward if after is tictactoe.OVER else -outcome(after)


@compiled_only
def test_sixteen_leaves_keep_the_value_of_as_many_positions_as_one_leaf():
    """By the rules, of 72 positions; several moves are equally good in most of them."""
    states = third_plies()
    kept = {
        leaves: sum(value_of(state, move) == outcome(state) for state, move in zip(states, moves, strict=True))
        for leaves in (1, 16)
        for moves in [moves_by_the_rules(states, leaves)]
    }
    assert kept[16] >= kept[1] >= 66
