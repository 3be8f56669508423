"""The NumPy search finds what BatchedSearch finds."""

import numpy as np
import pytest
from mzbench.search.numpy_search import search_trees
from mzbench.search.search_models import Shape, random_outputs

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch

SHAPES = [Shape(3, 5, "flat", 30), Shape(3, 5, "peaked", 30), Shape(2, 1, "flat", 8), Shape(1, 40, "peaked", 20)]


def batched_visits(config, outputs):
    _, num_trees, num_actions = outputs.policy_logits_KBA.shape
    search = BatchedSearch(config, batch_size=num_trees, num_actions=num_actions)
    search.begin(outputs.policy_logits_KBA[0], outputs.value_KB[0])
    for k in range(1, config.num_simulations + 1):
        search.select()
        search.backup(outputs.reward_KB[k], outputs.value_KB[k], outputs.policy_logits_KBA[k])
    return search.result().visits_BA


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_numpy_search_visits_what_batched_search_visits_without_noise(shape, seed):
    outputs = random_outputs(shape, seed)
    config = SearchConfig(num_simulations=shape.num_simulations, policy="puct", root_exploration_fraction=0.0)
    visits_BA = search_trees(config, outputs, np.random.default_rng(0))
    np.testing.assert_array_equal(visits_BA, batched_visits(config, outputs))


def test_numpy_search_draws_new_noise_for_every_search():
    shape = Shape(1, 20, "flat", 30)
    config, rng = SearchConfig(num_simulations=30, root_exploration_fraction=1.0), np.random.default_rng(0)
    first_BA, second_BA = (search_trees(config, random_outputs(shape), rng) for _ in range(2))
    assert first_BA.sum() == second_BA.sum() == 30
    assert (first_BA != second_BA).any()
