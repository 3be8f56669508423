"""Gumbel MuZero: sequential halving, the first visits, the target and the choice, worked by hand."""

import numpy as np
import pytest

from mzpipe.search import BatchedSearch, SearchConfig
from mzpipe.search.halving import halving_sequence
from tests.search.driver import quiet_config, random_model, run

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


def test_halving_goes_on_with_the_better_half():
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
