"""Rows of weights: what a full one and a short one keep, and which edge is best."""

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.search import search_bytes
from mzpipe.search.arithmetic import order
from mzpipe.search.rows import (
    best_place,
    copy_padded,
    exponentiate,
    greatest,
    mass,
    shorten,
    shorten_equals,
    take_from,
)
from mzpipe.search.tree import BLOCK, NONE, TAKEN, has_short_rows, row_starts

F = np.float32
order_of = getattr(order, "py_func", order)


def full_row(weights) -> np.ndarray:
    row_L = np.empty(-(-len(weights) // BLOCK) * BLOCK, F)
    copy_padded(np.array(weights, F), row_L, TAKEN)
    return row_L


def short_row(weights, keep: int) -> list[tuple[int, float]]:
    """(action, weight) of each place that a row with room for `keep` weights fills."""
    row_L, labels_L = np.zeros(keep + 1, F), np.zeros(keep + 1, np.uint16)
    shorten(full_row(weights), row_L, labels_L, keep)
    return [(int(action), float(weight)) for action, weight in zip(labels_L, row_L, strict=True) if weight != TAKEN]


@pytest.mark.parametrize("num_actions", [1, 7, 8, 9, 100])
def test_weights_are_the_softmax_up_to_their_sum(num_actions):
    logits_A = np.random.default_rng(num_actions).normal(size=num_actions).astype(F)
    row_L = np.empty(-(-num_actions // BLOCK) * BLOCK, F)
    copy_padded(logits_A, row_L, F(-np.inf))
    exponentiate(row_L, greatest(row_L))
    assert row_L.max() == 1.0
    assert row_L[:num_actions] == pytest.approx(np.exp(logits_A - logits_A.max()), rel=1e-6)
    assert mass(row_L) / 2**46 == pytest.approx(row_L[:num_actions].sum(), rel=1e-6)
    take_from(row_L, num_actions)
    assert (row_L[num_actions:] == TAKEN).all()


@pytest.mark.parametrize(
    ("weights", "place"),
    [
        pytest.param([0.2, 0.9, 0.9], 1, id="first of equals"),
        pytest.param([-1.0, -1.0, 0.0], 2, id="zero is a weight"),
        pytest.param([-1.0] * 9, NONE, id="all taken"),
        pytest.param([0.1] * 20 + [0.2], 20, id="last"),
    ],
)
def test_best_place_is_the_first_of_the_greatest_weights(weights, place):
    assert best_place(full_row(weights)) == place


@pytest.mark.parametrize("keep", [1, 2, 5, 39, 40])
@pytest.mark.parametrize("values", [40, 5, 1], ids=["distinct", "many ties", "all equal"])
def test_short_row_keeps_the_greatest_weights_and_the_lowest_of_equals(keep, values):
    weights = np.random.default_rng(keep).integers(0, values, 40).astype(F) / F(values)
    best_first = sorted(range(40), key=lambda action: (-weights[action], action))[:keep]
    assert short_row(weights, keep) == [(action, float(weights[action])) for action in sorted(best_first)]


@pytest.mark.parametrize("keep", [1, 5, 63])
@pytest.mark.parametrize("spread", [0.0, 2.0**-14], ids=["all equal", "distinct"])
def test_short_row_ends_where_it_should_when_all_weights_are_above_one(keep, spread):
    weights = F(1.0 + 2.0**-14) + F(spread) * np.random.default_rng(keep).random(64).astype(F)
    assert weights.min() > 1.0 and weights.max() <= 1.0 + 2.0**-13
    row_L, labels_L = np.full(128, 7.0, F), np.full(128, 77, np.uint16)
    shorten(full_row(weights), row_L[: keep + 1], labels_L[: keep + 1], keep)
    assert (row_L[keep + 1 :] == 7.0).all() and (labels_L[keep + 1 :] == 77).all()
    best_first = sorted(range(64), key=lambda action: (-weights[action], action))[:keep]
    assert labels_L[:keep].tolist() == sorted(best_first)


@pytest.mark.parametrize("keep", [1, 5])
def test_short_row_of_equals_ends_where_it_should_whatever_its_threshold(keep):
    row_L, labels_L = np.full(64, 7.0, F), np.full(64, 77, np.uint16)
    assert shorten_equals(full_row([0.5] * 40), row_L, labels_L, keep, order_of(0.25)) == keep
    assert (row_L[keep:] == 7.0).all() and (labels_L[keep:] == 77).all()


def test_short_row_keeps_everything_when_fewer_actions_are_left_than_places():
    assert short_row([0.5, -1.0, 0.0, -1.0], 3) == [(0, 0.5), (2, 0.0)]


def test_rows_are_full_unless_they_would_take_more_than_a_mebibyte_a_tree():
    assert not has_short_rows(50, 4674)
    assert has_short_rows(800, 4674)
    assert not has_short_rows(2000, 362)


def test_short_rows_have_a_place_for_every_simulation_to_come():
    starts_N = row_starts(800, 4674, short=True)
    lengths_N = np.diff(starts_N)
    assert (lengths_N >= 800 - np.arange(801)).all()
    assert lengths_N.max() == 904


@pytest.mark.parametrize("num_actions", [4674, 20_000])
def test_bytes_of_a_tree_do_not_grow_with_the_actions_when_rows_are_short(num_actions):
    config = SearchConfig(num_simulations=800)
    one = search_bytes(config, batch_size=2, num_actions=num_actions) - search_bytes(
        config, batch_size=1, num_actions=num_actions
    )
    assert one <= 3.4 * 800**2 + 50 * 800 + 64 * 801 + 12 * num_actions + 512
