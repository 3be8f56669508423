"""Root noise: where it lands, what it depends on, and how it is distributed."""

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from mzpipe.search.noise import RootNoise
from mzpipe.search.simulate import mix_noise
from tests.naive.search import mixed_prior
from tests.search.driver import tree

LOGITS = np.array([0.5, -1.0, 2.0, 0.0], np.float32)


def root_priors(batch_size, *, seed=0, legal_A=(True,) * 4, fraction=0.25, alpha=0.25, moves=1) -> np.ndarray:
    """Priors of every root after `moves` calls of begin."""
    config = SearchConfig(num_simulations=1, root_exploration_fraction=fraction, root_dirichlet_alpha=alpha)
    search = BatchedSearch(config, batch_size=batch_size, num_actions=4, seed=seed)
    logits_BA, legal_BA = np.tile(LOGITS, (batch_size, 1)), np.tile(legal_A, (batch_size, 1))
    for _ in range(moves):
        search.begin(logits_BA, np.zeros(batch_size, np.float32), legal_BA)
    return np.stack([tree(search, b).root_prior_A for b in range(batch_size)])


def test_noise_leaves_illegal_actions_at_zero():
    priors_BA = root_priors(8, legal_A=(True, False, True, False), fraction=1.0)
    assert (priors_BA[:, [1, 3]] == 0.0).all()
    assert priors_BA.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-6)


def test_noise_gives_everything_to_the_only_legal_action():
    assert root_priors(1, legal_A=(False, False, True, False)).tolist() == [[0, 0, 1, 0]]


def test_noise_of_a_tree_is_the_same_in_any_batch():
    np.testing.assert_array_equal(root_priors(5, moves=3)[:2], root_priors(2, moves=3))


def test_noise_differs_between_trees_seeds_and_moves():
    first = root_priors(2)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first, root_priors(2, seed=1))
    assert not np.allclose(first, root_priors(2, moves=2))


def test_noise_repeats_when_the_seed_does():
    np.testing.assert_array_equal(root_priors(3, seed=9, moves=2), root_priors(3, seed=9, moves=2))


def test_noise_is_absent_when_its_fraction_is_zero():
    expected_A = np.exp(LOGITS.astype(np.float64)) / np.exp(LOGITS.astype(np.float64)).sum()
    assert root_priors(1, fraction=0.0)[0] == pytest.approx(expected_A, rel=1e-6)


def test_noise_is_mixed_as_the_naive_twin_mixes_it():
    legal_A = (True, False, True, True)
    noise = RootNoise(batch_size=1, num_actions=4, seed=3, alpha=0.25)
    clean_A = root_priors(1, legal_A=legal_A, fraction=0.0)[0]
    expected = mixed_prior(clean_A.tolist(), noise.noise_BTA[0, noise.next()].tolist(), legal_A, 0.25)
    assert root_priors(1, seed=3, legal_A=legal_A)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.03, 0.25, 2.0])
def test_noise_has_the_mean_and_variance_of_a_dirichlet(alpha):
    noise_BA = root_priors(4000, fraction=1.0, alpha=alpha).astype(np.float64)
    assert noise_BA.mean(axis=0) == pytest.approx(np.full(4, 1 / 4), abs=0.03)
    variance = (1 / 4) * (3 / 4) / (4 * alpha + 1)
    assert noise_BA.var(axis=0) == pytest.approx(np.full(4, variance), rel=0.1)


def test_noise_stays_a_distribution_when_alpha_is_tiny():
    priors_BA = root_priors(64, fraction=1.0, alpha=1e-4)
    assert np.isfinite(priors_BA).all()
    assert priors_BA.sum(axis=1) == pytest.approx(np.ones(64), abs=1e-6)


def test_noise_sums_to_one_when_there_are_many_actions():
    search = BatchedSearch(SearchConfig(num_simulations=1), batch_size=1, num_actions=20_000)
    search.begin(np.zeros((1, 20_000), np.float32), np.zeros(1, np.float32))
    flat_BTA, legal_BA = np.full((1, 1, 20_000), -0.1, np.float32), np.ones((1, 20_000), np.bool_)
    flat_BTA[0, 0, 0] = 0.0
    mix_noise(search._arena, flat_BTA, 0, legal_BA, np.float32(1.0))
    assert tree(search).root_prior_A.sum(dtype=np.float64) == pytest.approx(1.0, abs=2e-6)


def test_gumbel_noise_has_the_mean_and_variance_of_a_gumbel_number_times_its_scale():
    noise = RootNoise(batch_size=50, num_actions=10, seed=1, scale=2.0)
    noise.next()
    assert noise.noise_BTA.mean() == pytest.approx(2.0 * np.euler_gamma, abs=0.03)
    assert noise.noise_BTA.std() == pytest.approx(2.0 * np.pi / np.sqrt(6.0), rel=0.02)


def test_noise_differs_between_the_searches_it_is_drawn_ahead_for_and_after_them():
    noise = RootNoise(batch_size=1, num_actions=512, seed=0)
    rows = [noise.noise_BTA[0, noise.next()].copy() for _ in range(5)]
    assert len({row.tobytes() for row in rows}) == 5
