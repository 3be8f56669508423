"""Samplers: how often a step is drawn, with what weight, and what happens to removed steps."""

import numpy as np
import pytest
from scipy.stats import chisquare

from mzpipe.config import ReplayConfig
from mzpipe.replay.sampler import (
    PRIORITY_EPSILON,
    PrioritizedSampler,
    UniformSampler,
    make_sampler,
    priority_of_weight,
)
from tests.replay.episodes import make_table, random_episode, records


def fill(table, sampler, episodes, priority=None, first_number=0):
    """Stores episodes of five steps; priority(step numbers) gives their priorities."""
    rng = np.random.default_rng(first_number)
    for number in range(first_number, first_number + episodes):
        for record in records(random_episode(rng, 5, "terminated"), number):
            first = table.head
            length = table.insert(record, actor=0, epoch=0)
            steps = np.arange(first, first + length)
            sampler.insert(first, np.ones(length) if priority is None else priority(steps))


def prioritized(capacity=50, alpha=1.0, **filling):
    table = make_table(capacity)
    sampler = PrioritizedSampler(table, seed=0, alpha=alpha)
    fill(table, sampler, capacity // 5, **filling)
    return table, sampler


@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_draws_follow_priority_to_the_power_alpha(alpha):
    _table, sampler = prioritized(alpha=alpha, priority=lambda steps: 1.0 + steps % 7)
    step_B, _ = sampler.draw(200_000, beta=1.0)
    expected = (1.0 + np.arange(50) % 7 + PRIORITY_EPSILON) ** alpha
    counts = np.bincount(step_B, minlength=50)
    assert chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 1e-3


def test_weights_undo_the_priorities_when_beta_is_one():
    _table, sampler = prioritized(priority=lambda steps: 1.0 + steps % 7)
    value = np.arange(50.0)
    step_B, weight_B = sampler.draw(400_000, beta=1.0)
    assert weight_B.max() == 1.0
    assert np.average(value[step_B], weights=weight_B) == pytest.approx(value.mean(), rel=0.01)


def test_weights_are_those_of_the_formula_over_the_batchs_largest():
    _table, sampler = prioritized(priority=lambda steps: 1.0 + steps % 7)
    step_B, weight_B = sampler.draw(64, beta=0.4)
    probability = (1.0 + np.arange(50) % 7 + PRIORITY_EPSILON) / (1.0 + np.arange(50) % 7 + PRIORITY_EPSILON).sum()
    expected = (50 * probability[step_B]) ** -0.4
    np.testing.assert_allclose(weight_B, expected / expected.max(), rtol=1e-6)


@pytest.mark.parametrize(("floor", "least"), [(0.0, 1e-3), (0.1, 0.1), (1.0, 1.0)])
def test_weights_are_not_below_the_profiles_floor_when_rare_draws_weigh_most(floor, least):
    table = make_table(50)
    sampler = make_sampler(ReplayConfig(priority_alpha=1.0, min_importance_weight=floor), table, seed=0)
    fill(table, sampler, 10, priority=lambda steps: np.where(steps < 25, 1e-3, 1.0))
    weight_B = sampler.draw(20_000, beta=1.0).weight_B
    assert weight_B.dtype == np.float32
    assert (weight_B.min(), weight_B.max()) == (pytest.approx(least, rel=2e-3), 1.0)


def test_greatest_priority_is_that_of_any_transition_so_far_and_one_before_there_is_any():
    table = make_table(50)
    sampler = PrioritizedSampler(table, seed=0, alpha=0.6)
    assert sampler.greatest_priority == 1.0
    fill(table, sampler, 10, priority=lambda steps: np.full(len(steps), 0.5))
    assert sampler.greatest_priority == 0.5
    sampler.update(np.array([3, 4, 999_999]), np.array([7.0, np.inf, 0.0], np.float32))
    sampler.update(np.array([3]), np.array([0.1], np.float32))
    fill(table, sampler, 1, priority=lambda steps: np.zeros(len(steps)), first_number=100)
    assert sampler.greatest_priority == 7.0
    sampler.update(np.array([0]), np.array([1e9], np.float32))  # a removed transition's
    assert sampler.greatest_priority == 7.0


def test_a_transition_with_no_error_is_still_drawn_now_and_then():
    _, sampler = prioritized(capacity=10, priority=lambda steps: np.zeros(len(steps)))
    step_B, weight_B = sampler.draw(10_000, beta=1.0)
    assert len(np.unique(step_B)) == 10
    np.testing.assert_allclose(weight_B, 1.0)


@pytest.mark.parametrize("capacity", [50, 52])  # of 52, two rows stay empty between the newest and the oldest step
def test_what_was_removed_is_never_drawn_again(capacity):
    table, sampler = prioritized(capacity=capacity, priority=lambda steps: np.full(len(steps), 1e6))
    fill(table, sampler, 4, first_number=100)
    step_B, _ = sampler.draw(10_000, beta=1.0)
    assert step_B.min() == table.tail == 20
    assert step_B.max() < table.head


def test_update_changes_what_is_drawn_and_drops_what_is_gone_or_not_finite():
    table, sampler = prioritized(capacity=50)
    fill(table, sampler, 1, first_number=100)  # steps 0 to 4 make room, and rows 0 to 4 hold steps 50 to 54
    stale = sampler.update(np.array([0, 3, 7, 8, 9]), np.array([1e9, 1e9, 1e9, np.nan, np.inf], np.float32))
    assert stale == 4
    step_B, _ = sampler.draw(1000, beta=1.0)
    assert (step_B == 7).all()


def test_priorities_survive_the_way_through_the_journal():
    _table, sampler = prioritized(alpha=0.6, priority=lambda steps: 0.25 * steps)
    weight_N = sampler.weights(np.arange(50))
    np.testing.assert_allclose(priority_of_weight(weight_N, 0.6), 0.25 * np.arange(50), rtol=1e-4, atol=1e-5)


def test_uniform_sampler_draws_all_alike_and_weighs_them_so():
    table = make_table(50)
    sampler = UniformSampler(table, seed=0)
    fill(table, sampler, 14)
    step_B, weight_B = sampler.draw(100_000, beta=1.0)
    assert chisquare(np.bincount(step_B - table.tail, minlength=50)).pvalue > 1e-3
    assert (weight_B == 1.0).all()
    assert sampler.update(np.array([table.tail - 1, table.tail]), np.ones(2)) == 1
    assert sampler.weights(np.arange(3)) is None


def test_draws_repeat_from_the_seed():
    for kind in ("uniform", "prioritized"):
        draws = []
        for _ in range(2):
            table = make_table(50)
            sampler = make_sampler(ReplayConfig(sampler=kind), table, seed=3)
            fill(table, sampler, 10)
            draws.append((sampler.draw(20, 0.5).step_B.tolist(), sampler.random_key()))
        assert draws[0] == draws[1]
