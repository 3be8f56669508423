"""Selection by pUCT: the edge is unvisited and legal, it has the best score, and the answers are copies."""

import math

import numpy as np
import pytest

from mzpipe.search import BatchedSearch
from mzpipe.search.puct import exploration_table
from tests.search.driver import Model, coarse_model, quiet_config, random_model, run


def begin(policy_logits_BA, legal_actions_BA=None, **fields) -> BatchedSearch:
    logits_BA = np.asarray(policy_logits_BA, np.float32)
    search = BatchedSearch(quiet_config(4, **fields), batch_size=logits_BA.shape[0], num_actions=logits_BA.shape[1])
    search.begin(logits_BA, np.zeros(logits_BA.shape[0], np.float32), legal_actions_BA)
    return search


def test_exploration_table_is_the_pucb_factor_for_every_visit_count():
    expected = [math.sqrt(n) * (1.25 + math.log((n + 19652 + 1) / 19652)) for n in range(5)]
    assert exploration_table(5, 1.25, 19652.0) == pytest.approx(expected, rel=1e-6)


def test_first_selection_follows_the_prior():
    parent_index_B, action_B = begin([[0.0, 0.1, 3.0], [2.0, 0.0, 1.0]]).select()
    assert parent_index_B.tolist() == [0, 0]
    assert action_B.tolist() == [2, 0]


def test_select_takes_the_lowest_action_when_scores_tie():
    assert begin([[0.0, 1.0, 1.0, 1.0]]).select()[1].tolist() == [1]


def test_select_takes_the_first_legal_action_when_the_prior_prefers_an_illegal_one():
    search = begin([[0.0, 9.0, 0.0]], np.array([[False, False, True]]))
    assert search.select()[1].tolist() == [2]


def test_select_never_takes_an_illegal_root_action_when_all_legal_ones_look_bad():
    legal_BA = np.array([[False, True, False, True]])
    model = coarse_model(0, 33, 1, 4)._replace(reward_KB=np.full((33, 1), -1.0, np.float32))
    search = BatchedSearch(quiet_config(32), batch_size=1, num_actions=4)
    run(search, model, legal_BA)
    assert search.result().visits_BA[0, ~legal_BA[0]].tolist() == [0, 0]


def test_select_takes_root_illegal_actions_when_below_the_root():
    logits_BA = np.array([[0.0, 9.0]], np.float32)
    search = begin(logits_BA, np.array([[True, False]]))
    search.select()
    search.backup(np.zeros(1, np.float32), np.zeros(1, np.float32), logits_BA)
    parent_index_B, action_B = search.select()
    assert (parent_index_B[0], action_B[0]) == (1, 1)


def test_select_never_names_an_edge_twice_when_run_to_the_end():
    search = BatchedSearch(quiet_config(40), batch_size=2, num_actions=3)
    selected = run(search, random_model(1, 41, 2, 3))
    for b in range(2):
        assert len({(parents[b], actions[b]) for parents, actions in selected}) == 40


def test_select_names_only_expanded_nodes_when_run_to_the_end():
    search = BatchedSearch(quiet_config(40), batch_size=2, num_actions=3)
    selected = run(search, random_model(1, 41, 2, 3))
    assert all(max(parents) < k for k, (parents, _) in enumerate(selected, start=1))


def test_select_answers_in_the_callers_arrays_when_given():
    arrays = {"parent_index_B": np.full(1, 7, np.int32), "action_B": np.full(1, 7, np.int32)}
    search = BatchedSearch(quiet_config(4), batch_size=1, num_actions=2, **arrays)
    search.begin(np.array([[0.0, 1.0]], np.float32), np.zeros(1, np.float32))
    answer = search.select()
    assert answer[0] is arrays["parent_index_B"] and answer[1] is arrays["action_B"]
    assert (answer[0][0], answer[1][0]) == (0, 1)


def test_select_divides_by_the_given_bounds_when_normalization_is_bounds():
    # Prior 1/2 each, exploration(2) = 1.77; action 0 has q = 1. Bounds (-9, 1): 1 + 1.77/4 against 0.88. Bounds
    # (1, 101): 0 + 0.44 against 0.88.
    outputs = (np.ones(1, np.float32), np.zeros(1, np.float32), np.zeros((1, 2), np.float32))
    for bounds, edge in [((-9.0, 1.0), (1, 0)), ((1.0, 101.0), (0, 1))]:
        search = begin([[0.0, 0.0]], q_normalization="bounds", q_bounds=bounds)
        search.select()
        search.backup(*outputs)
        parent_index_B, action_B = search.select()
        assert (parent_index_B[0], action_B[0]) == edge


def test_select_scales_q_by_the_siblings_and_the_nodes_value_when_normalization_is_siblings():
    # The root's value is 1 after values 0 and 2; q(0) = 2 is the greatest, so it counts 1 + 0.44 against 0.88.
    search = begin([[0.0, 0.0]], q_normalization="siblings", discount=1.0)
    search.select()
    search.backup(np.full(1, 2.0, np.float32), np.zeros(1, np.float32), np.zeros((1, 2), np.float32))
    assert search.select()[0].tolist() == [1]


def next_edge(search: BatchedSearch, *outputs) -> tuple[int, int]:
    """The edge selected after simulations with these (reward, value, logits) of their leaves."""
    for reward, value, logits_A in outputs:
        search.select()
        search.backup(np.full(1, reward, np.float32), np.full(1, value, np.float32), np.array([logits_A], np.float32))
    parent_index_B, action_B = search.select()
    return int(parent_index_B[0]), int(action_B[0])


EVEN, STEEP, FIRST_ALONE = [0.0, 0.0], [np.log(9.0), 0.0], [20.0, 0.0]


@pytest.mark.parametrize(("unvisited_q", "edge"), [("zero", (1, 0)), ("mean", (0, 1))])
def test_select_counts_an_unvisited_root_action_as_the_mean_of_the_visited_ones(unvisited_q, edge):
    # Prior 1/2 each, exploration(2) = 1.77. Bounds (-1, 1) make 1/2 of q(0) = 0: 1/2 + 1.77/4 = 0.94 against 0.88, or
    # against 1/2 + 0.88.
    search = begin([EVEN], unvisited_q=unvisited_q, q_normalization="bounds")
    assert next_edge(search, (0, 0, EVEN)) == edge


@pytest.mark.parametrize(("value", "edge"), [(0.0, (1, 1)), (-2.0, (2, 0))])
def test_select_carries_the_mean_of_the_root_down_as_one_more_q(value, edge):
    # The root's prior leads to node 1 twice. There q(0) = 1 and exploration(2) / 2 = 0.88, so action 1 needs a mean of
    # 1 - 0.44 or more. The root's mean is its only q, (value + 1) / 2, so the mean is ((value + 1) / 2 + 1) / 2: 0.75
    # for value 0, 0.25 for -2.
    options = {"q_normalization": "bounds", "q_bounds": (0.0, 1.0), "discount": 1.0, "unvisited_q": "mean"}
    assert next_edge(begin([FIRST_ALONE], **options), (0, value, EVEN), (0, 1, EVEN)) == edge


@pytest.mark.parametrize(("values", "edge"), [((-3.0, -1.0), (2, 0)), ((3.0, -1.2), (1, 1))])
def test_select_turns_the_carried_mean_around_when_the_other_player_moves(values, edge):
    # As above with values v, w: the root's only q is (w - v) / 2, which is (v - w) / 2 for the player at node 1, where
    # q(0) = -w. The mean is ((v - w) / 2 - w) / 2, and scaled to (mean + 1) / 2 it must be (1 - w) / 2 - 0.44 or more:
    # v + w >= -3.54. Without the turn 3 w - v would have to be.
    search = begin([FIRST_ALONE], q_normalization="bounds", discount=-1.0, unvisited_q="mean")
    assert next_edge(search, *((0, value, EVEN) for value in values)) == edge


def test_select_cuts_the_carried_mean_to_the_siblings_when_these_set_the_scale():
    # Node 1 and its action 0 are worth 0, so a spread of 1e-8 counts there; the root's only q is 5. Cut to 0 it leaves
    # the choice to the prior: 0.9 * 1.77 / 2 against 0.1 * 1.77. Otherwise action 1 would count 2.5e8.
    search = begin([FIRST_ALONE], q_normalization="siblings", discount=1.0, unvisited_q="mean")
    assert next_edge(search, (5, 0, STEEP), (0, 0, STEEP)) == (2, 0)


def test_select_cuts_the_carried_mean_to_the_tree_when_it_sets_the_scale():
    # The q of this tree are 3, then 1 at node 1 and 1 at the root. For the player at node 1 the root's mean is -1, less
    # than any q. Cut to 1 the mean is 1, 0 after scaling, and action 1 has 0.88 against 0.44; uncut it is 0, -1/2 after
    # scaling, and action 1 has 0.38.
    search = begin([FIRST_ALONE], discount=-1.0, unvisited_q="mean")
    assert next_edge(search, (0, -3, EVEN), (0, -1, EVEN)) == (1, 1)


@pytest.mark.parametrize(("min_q_spread", "edge"), [(1e-8, (2, 0)), (1.0, (1, 0))])
@pytest.mark.parametrize("q_normalization", ["tree", "siblings"])
def test_select_divides_by_the_least_spread_when_q_differ_by_less(q_normalization, min_q_spread, edge):
    # Priors 0.6 and 0.4, exploration(3) = 2.17, q = 0 and 0.1: action 0 has 0.65, and action 1 has 1 + 0.43, or
    # 0.1 + 0.43 where the spread counts as 1.
    logits_A = np.log([0.6, 0.4])
    search = begin([logits_A], q_normalization=q_normalization, min_q_spread=min_q_spread, discount=1.0)
    assert next_edge(search, (0, 0, EVEN), (0, 0.1, EVEN)) == edge


def test_search_is_unmoved_when_the_caller_scribbles_over_selected_edges():
    model = random_model(2, 9, 1, 3)
    search, untouched = (BatchedSearch(quiet_config(8), batch_size=1, num_actions=3) for _ in range(2))
    run(untouched, model)
    search.begin(model.policy_logits_KBA[0], model.value_KB[0])
    for k in range(1, 9):
        for answer_B in search.select():
            answer_B[:] = 1_000_000
        search.backup(model.reward_KB[k], model.value_KB[k], model.policy_logits_KBA[k])
    np.testing.assert_array_equal(search.result().visits_BA, untouched.result().visits_BA)


def test_select_explores_when_the_spread_of_values_is_too_small_to_divide_by():
    # The root's second action is worth 1e-39, its first nothing: 1 / spread would be infinite, and 0 * infinity no
    # number. Without scaling the visits follow the equal priors.
    search = BatchedSearch(quiet_config(40, discount=1.0), batch_size=1, num_actions=2)
    search.begin(np.zeros((1, 2), np.float32), np.zeros(1, np.float32))
    first_action = {}
    for k in range(1, 41):
        parent_index_B, action_B = search.select()
        first_action[k] = first_action.get(parent_index_B[0], action_B[0])
        value_B = np.array([1e-39 if first_action[k] else 0.0], np.float32)
        search.backup(np.zeros(1, np.float32), value_B, np.zeros((1, 2), np.float32))
    assert search.result().visits_BA.tolist() == [[20, 20]]


@pytest.mark.parametrize("unvisited_q", ["zero", "mean"])
@pytest.mark.parametrize("q_normalization", ["tree", "siblings", "bounds"])
def test_select_stays_legal_when_huge_finite_outputs_overflow_to_nan(q_normalization, unvisited_q):
    huge = np.full((9, 1), 3e38, np.float32)
    model = Model(huge, huge, np.zeros((9, 1, 3), np.float32))
    config = quiet_config(8, discount=-1.0, q_normalization=q_normalization, unvisited_q=unvisited_q)
    search = BatchedSearch(config, batch_size=1, num_actions=3)
    with np.errstate(over="ignore", invalid="ignore"):
        run(search, model, np.array([[False, True, True]]))
    assert search.result().visits_BA[0, 0] == 0
