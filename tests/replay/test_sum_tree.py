"""The sum-tree against a list over random operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mzpipe.replay.sum_tree import SumTree, sum_tree_bytes
from tests.naive.sum_tree import NaiveSumTree

# Halves and their sums are exact, so that both add up to the same number in any order.
WEIGHTS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5, 1024.0])


@settings(max_examples=150)
@given(num_places=st.integers(1, 700), data=st.data())
def test_sum_tree_equals_a_list_after_any_operations(num_places, data):
    tree, naive = SumTree(num_places), NaiveSumTree(num_places)
    for _ in range(data.draw(st.integers(1, 6))):
        count = data.draw(st.integers(0, 20))
        places = data.draw(st.lists(st.integers(0, num_places - 1), min_size=count, max_size=count))
        weights = data.draw(st.lists(WEIGHTS, min_size=count, max_size=count))
        tree.set(np.array(places, np.int64), np.array(weights))
        naive.set(places, weights)
        assert tree.total == naive.total
        np.testing.assert_array_equal(tree.get(np.arange(num_places)), naive.weights)
        if naive.total > 0.0:
            uniform = data.draw(st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=1, max_size=10))
            assert tree.draw(np.array(uniform)).tolist() == [naive.draw(u) for u in uniform]


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), num_places=st.integers(1, 600), zeros=st.floats(0.0, 0.99))
def test_sum_tree_never_draws_a_place_without_weight_whatever_the_rounding(seed, num_places, zeros):
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.normal(size=num_places) * 20) * (rng.random(num_places) >= zeros)
    if not weights.any():
        weights[rng.integers(num_places)] = 1e-300
    tree = SumTree(num_places)
    tree.set(np.arange(num_places), weights)
    drawn = tree.draw(np.concatenate([rng.random(200), [0.0, np.nextafter(1.0, 0.0)]]))
    assert (weights[drawn] > 0.0).all()


@pytest.mark.parametrize("num_places", [5, 64, 1000])
def test_sum_tree_draws_in_proportion_to_the_weights(num_places):
    rng = np.random.default_rng(1)
    tree, weights = SumTree(num_places), rng.gamma(2.0, size=num_places)
    tree.set(np.arange(num_places), weights)
    counts = np.bincount(tree.draw(rng.random(400_000)), minlength=num_places)
    assert chisquare(counts, weights / weights.sum() * counts.sum()).pvalue > 1e-3


def test_chi_square_would_see_a_place_drawn_a_twentieth_too_often():
    """The negative control of the test above."""
    rng = np.random.default_rng(1)
    tree, weights = SumTree(64), np.ones(64)
    weights[:8] = 1.05
    tree.set(np.arange(64), weights)
    counts = np.bincount(tree.draw(rng.random(400_000)), minlength=64)
    assert chisquare(counts).pvalue < 1e-3


def test_sum_tree_takes_the_bytes_that_it_says():
    for num_places in (1, 8, 9, 64, 65, 5_000):
        assert SumTree(num_places).nbytes == sum_tree_bytes(num_places)
    assert sum_tree_bytes(1 << 20) / (1 << 20) < 9.2


def test_sum_tree_does_not_drift_over_a_million_updates():
    rng = np.random.default_rng(2)
    tree = SumTree(100)
    for _ in range(100):
        tree.set(rng.integers(0, 100, 10_000), rng.random(10_000) * 1e6)
    weights = rng.random(100)
    tree.set(np.arange(100), weights)
    assert tree.total == pytest.approx(weights.sum(), rel=1e-14)
