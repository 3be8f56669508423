"""Gumbel MuZero: sequential halving, the first visits, the target and the choice, worked by hand."""

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from mzpipe.search.halving import halving_sequence
from tests.search.driver import coarse_model, quiet_config, random_model, run

F = np.float32


def gumbel_config(num_simulations: int, **fields) -> SearchConfig:
    return quiet_config(num_simulations, policy="gumbel", **{"gumbel_scale": 0.0, **fields})


def answer(value: float, num_actions: int) -> tuple:
    """Outputs of a leaf: reward 0, a value, a uniform policy."""
    return np.zeros(1, F), np.array([value], F), np.zeros((1, num_actions), F)


@pytest.mark.parametrize(
    ("num_considered", "num_simulations", "expected"),
    [
        pytest.param(1, 4, [0, 1, 2, 3], id="one action has nothing to compete with"),
        pytest.param(4, 8, [0, 0, 0, 0, 1, 1, 2, 2], id="two phases of four simulations"),
        pytest.param(4, 16, [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5], id="two phases of eight"),
        pytest.param(16, 4, [0, 0, 0, 0], id="fewer simulations than actions"),
        pytest.param(2, 5, [0, 0, 1, 1, 2], id="the last round is cut"),
        pytest.param(3, 6, [0, 0, 0, 1, 1, 2], id="three actions, two left after the first phase"),
    ],
)
def test_halving_names_the_visits_of_the_actions_still_considered(num_considered, num_simulations, expected):
    assert halving_sequence(num_considered, num_simulations).tolist() == expected


def test_root_visits_its_likeliest_actions_once_each_when_there_is_no_noise():
    logits_BA = np.array([[0.0, 3.0, 1.0, 2.0, -1.0]], F)
    search = BatchedSearch(gumbel_config(3, max_num_considered_actions=3), batch_size=1, num_actions=5)
    search.begin(logits_BA, np.zeros(1, F))
    chosen = []
    for _ in range(3):
        parent_index_B, action_B = search.select()
        chosen.append((parent_index_B[0], action_B[0]))
        search.backup(*answer(0.0, 5))
    assert chosen == [(0, 1), (0, 3), (0, 2)]


def test_halving_continues_with_the_better_half():
    # Four equal priors, values 0, 3, 1, 2: after the first round actions 1 and 3 are left.
    search = BatchedSearch(gumbel_config(8, max_num_considered_actions=4, discount=1.0), batch_size=1, num_actions=4)
    search.begin(np.zeros((1, 4), F), np.zeros(1, F))
    for value in (0.0, 3.0, 1.0, 2.0):
        search.select()
        search.backup(*answer(value, 4))
    for _ in range(4):
        search.select()
        search.backup(*answer(2.5, 4))
    assert search.result().visits_BA.tolist() == [[1, 3, 1, 3]]
    assert search.best_action().tolist() == [1]


def test_policy_target_is_the_softmax_of_logits_and_completed_q():
    # Two of three actions visited: q = 1 and 0 (discount 1, rewards 0); priors 1/3; the network says 0 of the root.
    # v_mix = (0 + 2 * (1/2 * 1 + 1/2 * 0)) / 3 = 1/3. Scaled to [0, 1] they stay; sigma = (50 + 1) * 0.1 * q.
    search = BatchedSearch(gumbel_config(2, max_num_considered_actions=2, discount=1.0), batch_size=1, num_actions=3)
    search.begin(np.zeros((1, 3), F), np.zeros(1, F))
    for value in (1.0, 0.0):
        search.select()
        search.backup(*answer(value, 3))
    weights = np.exp(5.1 * np.array([1.0, 0.0, 1 / 3]))
    assert search.result().search_policy_BA[0] == pytest.approx(weights / weights.sum(), rel=1e-5)


def test_policy_target_divides_by_the_least_spread_when_completed_q_differ_by_less():
    # The case above, whose completed q spread over 1, with a least spread of 2: sigma = (50 + 1) * 0.1 * q / 2.
    config = gumbel_config(2, max_num_considered_actions=2, discount=1.0, min_q_spread=2.0)
    weights = np.exp(2.55 * np.array([1.0, 0.0, 1 / 3]))
    policy_BA = played(config, np.zeros((1, 3), F), [1.0, 0.0, 0.0]).result().search_policy_BA
    assert policy_BA[0] == pytest.approx(weights / weights.sum(), rel=1e-5)


def played(config, logits_BA, value_of_action) -> BatchedSearch:
    """A finished search of one tree in which a leaf is worth what the root action above it is."""
    num_actions = logits_BA.shape[1]
    search = BatchedSearch(config, batch_size=1, num_actions=num_actions)
    search.begin(logits_BA, np.zeros(1, F))
    first_action = {}
    for k in range(1, config.num_simulations + 1):
        parent_index_B, action_B = search.select()
        first_action[k] = first_action.get(parent_index_B[0], action_B[0])
        search.backup(*answer(value_of_action[first_action[k]], num_actions))
    return search


def test_policy_target_adds_logits_and_completed_q_before_it_takes_an_exponential():
    # sigma = (50 + 100) * 1 * q, q = 0 and 1: [0, -100] + [0, 150] = [0, 50].
    config = gumbel_config(200, value_scale=1.0, discount=1.0)
    result = played(config, np.array([[0.0, -100.0]], F), [0.0, 1.0]).result()
    assert result.visits_BA.tolist() == [[100, 100]]
    assert result.search_policy_BA[0] == pytest.approx([0.0, 1.0], abs=1e-20)


def test_policy_target_weighs_an_unvisited_action_far_below_the_visited_one():
    # One visited action of three, q = -1 where the network says 0 of the root: v_mix = -1/2, so after scaling q is 0
    # and 1, and sigma 51 * 2 * q: [0, -100, -99] + [0, 102, 102] = [0, 2, 3].
    config = gumbel_config(1, value_scale=2.0, discount=1.0, max_num_considered_actions=1)
    result = played(config, np.array([[0.0, -100.0, -99.0]], F), [-1.0, 0.0, 0.0]).result()
    weights = np.exp([0.0, 2.0, 3.0])
    assert result.search_policy_BA[0] == pytest.approx(weights / weights.sum(), rel=1e-4)


def test_policy_target_sums_to_one_when_there_are_many_actions():
    search = BatchedSearch(gumbel_config(4), batch_size=1, num_actions=20_000)
    run(search, coarse_model(0, 5, 1, 20_000))
    assert search.result().search_policy_BA.sum(dtype=np.float64) == pytest.approx(1.0, abs=2e-6)


@pytest.mark.parametrize("offset", [2.0**17, -(2.0**20)])
def test_search_is_the_same_when_all_logits_are_higher(offset):
    model = random_model(6, 33, 50, 8)
    model = model._replace(policy_logits_KBA=np.round(model.policy_logits_KBA * 8) / 8)
    moved = model._replace(policy_logits_KBA=model.policy_logits_KBA + F(offset))
    assert (moved.policy_logits_KBA - F(offset) == model.policy_logits_KBA).all()
    found = []
    for outputs in (model, moved):
        search = BatchedSearch(SearchConfig(num_simulations=32, policy="gumbel"), batch_size=50, num_actions=8, seed=3)
        found.append((run(search, outputs), search.best_action().tolist(), search.result().search_policy_BA.tolist()))
    assert found[0] == found[1]


def test_root_visits_a_legal_action_however_far_its_logit_is_below_the_others():
    config = gumbel_config(2, max_num_considered_actions=2)
    with np.errstate(over="ignore"):
        search = played(config, np.array([[3e38, -3e38]], F), [0.0, 0.0])
    assert search.result().visits_BA.tolist() == [[1, 1]]


@pytest.mark.parametrize("gap", [-23.0, -30.0])
def test_unvisited_edges_count_below_the_root_when_their_weights_are_minute(gap):
    # The likely action of node 1 is bad, so all the weight in pi' lies on its 999 other actions, of which one is
    # visited next. That action's value says how long it stays the best: by equation 14 action 2 comes next, since
    # pi'(1), about 2.7 / 1000, is less than action 1's share of the visits, 1 / 3.
    search = BatchedSearch(
        gumbel_config(4, max_num_considered_actions=1, value_scale=1.0, discount=1.0), batch_size=1, num_actions=1000
    )
    logits_BA = np.full((1, 1000), gap, F)
    logits_BA[0, 0] = 0.0
    search.begin(logits_BA, np.zeros(1, F))
    chosen = []
    for value in (0.0, -1.0, -0.66, -0.9):
        parent_index_B, action_B = search.select()
        chosen.append((parent_index_B[0], action_B[0]))
        search.backup(np.zeros(1, F), np.array([value], F), logits_BA)
    assert chosen == [(0, 0), (1, 0), (1, 1), (1, 2)]


def test_policy_target_leaves_illegal_actions_at_zero_and_sums_to_one():
    legal_BA = np.array([[True, False, True, True, False]] * 4)
    search = BatchedSearch(SearchConfig(num_simulations=8, policy="gumbel"), batch_size=4, num_actions=5)
    run(search, random_model(3, 9, 4, 5), legal_BA)
    policy_BA = search.result().search_policy_BA
    assert (policy_BA[~legal_BA] == 0.0).all()
    assert (policy_BA[legal_BA] > 0.0).all()
    assert policy_BA.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_root_choices_differ_between_trees_when_there_is_noise_and_only_then():
    model = random_model(0, 2, 1, 30)
    for scale, num_choices in ((0.0, 1), (1.0, 5)):
        config = SearchConfig(num_simulations=1, policy="gumbel", gumbel_scale=scale)
        search = BatchedSearch(config, batch_size=64, num_actions=30, seed=1)
        search.begin(np.tile(model.policy_logits_KBA[0], (64, 1)), np.zeros(64, F))
        chosen = len(set(search.select()[1].tolist()))
        assert chosen == 1 if scale == 0.0 else chosen >= num_choices


def test_gumbel_first_choice_is_a_draw_from_the_prior():
    logits_A = np.log(np.array([0.5, 0.3, 0.2], F))
    search = BatchedSearch(SearchConfig(num_simulations=1, policy="gumbel"), batch_size=4000, num_actions=3, seed=5)
    search.begin(np.tile(logits_A, (4000, 1)), np.zeros(4000, F))
    share_A = np.bincount(search.select()[1], minlength=3) / 4000
    assert share_A == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
