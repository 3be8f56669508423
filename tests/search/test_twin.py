"""The kernels against their plain-Python twin, on random models and on models full of ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.search import BatchedSearch
from tests.search.driver import coarse_model, quiet_config, random_model, run, run_naive

NUM_TREES = 2
models = st.sampled_from([random_model, coarse_model])
seeds = st.integers(0, 2**32 - 1)
discounts = st.sampled_from([0.997, 1.0, 0.5, -1.0, -0.9, 0.0])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models, seeds, st.integers(1, 24), st.integers(1, 6), discounts, st.sampled_from([0.0, 1.25, 4.0]))
def test_search_equals_its_twin_on_any_model(make_model, seed, num_simulations, num_actions, discount, pb_c_init):
    config = quiet_config(num_simulations, discount=discount, pb_c_init=pb_c_init)
    model = make_model(seed, num_simulations + 1, NUM_TREES, num_actions)
    legal_BA = np.random.default_rng(seed).random((NUM_TREES, num_actions)) < 0.7
    legal_BA[:, seed % num_actions] = True
    search = BatchedSearch(config, batch_size=NUM_TREES, num_actions=num_actions)
    selected = run(search, model, legal_BA)
    result = search.result()
    for b in range(NUM_TREES):
        twin, expected = run_naive(config, model, b, legal_BA[b])
        assert [(parents[b], actions[b]) for parents, actions in selected] == expected
        assert result.visits_BA[b].tolist() == twin.visits()
        assert result.q_BA[b] == pytest.approx(twin.root_q(), abs=1e-5)
        assert result.root_value_B[b] == pytest.approx(twin.root.value, abs=1e-5)
        assert result.search_policy_BA[b] == pytest.approx(np.array(twin.visits()) / num_simulations, abs=1e-6)


def test_search_repeats_bit_for_bit_when_used_again():
    model = random_model(3, 17, 3, 4)
    search = BatchedSearch(quiet_config(16), batch_size=3, num_actions=4)
    run(search, model)
    first = search.result()
    run(search, random_model(4, 17, 3, 4))
    run(search, model)
    for before, after in zip(first, search.result(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_tree_searches_the_same_in_any_batch():
    model = random_model(5, 17, 3, 4)
    search = BatchedSearch(quiet_config(16), batch_size=3, num_actions=4)
    run(search, model)
    alone = BatchedSearch(quiet_config(16), batch_size=1, num_actions=4)
    run(alone, type(model)(*(np.ascontiguousarray(outputs[:, 1:2]) for outputs in model)))
    for together, single in zip(search.result(), alone.result(), strict=True):
        np.testing.assert_array_equal(together[1], single[0])
