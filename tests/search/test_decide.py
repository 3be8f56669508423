"""decide: what a result holds; sample_action: how visits become actions."""

import numpy as np
import pytest

from mzpipe.errors import SearchInputError
from mzpipe.search import BatchedSearch, sample_action
from tests.search.driver import quiet_config, random_model, run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def finished_search() -> BatchedSearch:
    search = BatchedSearch(quiet_config(12), batch_size=3, num_actions=4)
    run(search, random_model(0, 13, 3, 4), np.array([[True, True, False, True]] * 3))
    return search


def test_result_has_the_contracts_shapes_and_kinds():
    result = finished_search().result()
    kinds = {name: (array.shape, array.dtype) for name, array in result._asdict().items()}
    assert kinds == {
        "visits_BA": ((3, 4), np.int32),
        "root_value_B": ((3,), np.float32),
        "q_BA": ((3, 4), np.float32),
        "search_policy_BA": ((3, 4), np.float32),
    }


def test_result_visits_sum_to_the_simulations():
    assert finished_search().result().visits_BA.sum(axis=1).tolist() == [12, 12, 12]


def test_result_q_is_zero_where_an_action_was_not_visited():
    result = finished_search().result()
    assert (result.q_BA[result.visits_BA == 0] == 0.0).all()


def test_result_belongs_to_the_caller_when_the_search_goes_on():
    search = finished_search()
    kept = search.result()
    copy = kept.visits_BA.copy()
    run(search, random_model(1, 13, 3, 4))
    search.result()
    np.testing.assert_array_equal(kept.visits_BA, copy)


def test_sample_action_takes_the_lowest_of_the_most_visited_when_temperature_is_zero(rng):
    action_B = sample_action(np.array([[1, 5, 5], [9, 0, 0]], np.int32), 0.0, rng)
    assert action_B.tolist() == [1, 0]
    assert action_B.dtype == np.int32


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.25])
def test_sample_action_draws_in_proportion_to_visits_to_the_inverse_temperature(rng, temperature):
    visits_A = np.array([10, 30, 0, 60], np.int32)
    action_B = sample_action(np.tile(visits_A, (20_000, 1)), temperature, rng)
    weight_A = visits_A ** (1 / temperature)
    assert np.bincount(action_B, minlength=4) / 20_000 == pytest.approx(weight_A / weight_A.sum(), abs=0.015)


def test_sample_action_never_takes_an_unvisited_action_when_hot(rng):
    assert (sample_action(np.tile(np.int32([0, 1, 0]), (500, 1)), 100.0, rng) == 1).all()


def test_sample_action_takes_the_most_visited_when_temperature_is_minute(rng):
    assert sample_action(np.int32([[49, 50, 48]]), 1e-308, rng).tolist() == [1]


def test_sample_action_takes_one_temperature_per_tree(rng):
    visits_BA = np.tile(np.int32([50, 51]), (400, 1))
    action_B = sample_action(visits_BA, np.repeat([0.0, 1.0], 200), rng)
    assert (action_B[:200] == 1).all()
    assert 50 < action_B[200:].sum() < 150


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf"), float("-inf")])
def test_sample_action_refuses_a_temperature_below_zero_infinite_or_nan(rng, temperature):
    with pytest.raises(SearchInputError, match=f"temperature={temperature} must be finite and at least 0"):
        sample_action(np.ones((1, 2), np.int32), temperature, rng)


def test_sample_action_names_the_bad_temperature_among_several(rng):
    with pytest.raises(SearchInputError, match="temperature=inf must be finite"):
        sample_action(np.ones((3, 2), np.int32), np.array([1.0, np.inf, 0.0]), rng)


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e300])
def test_sample_action_never_takes_an_unvisited_action_at_any_temperature(rng, temperature):
    visits_BA = np.tile(np.int32([0, 5, 0, 5]), (400, 1))
    assert set(sample_action(visits_BA, temperature, rng)) <= {1, 3}


def test_sample_action_refuses_a_tree_without_visits(rng):
    with pytest.raises(SearchInputError, match=r"visits_BA\[1\] has no visit to choose an action from"):
        sample_action(np.int32([[1, 0], [0, 0]]), 1.0, rng)
