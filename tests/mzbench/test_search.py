"""The case `search`: which contestants are measured at which shapes, and the notes on them."""

import functools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mzbench import timing
from mzbench.search import mctx_reference, search
from mzbench.search.search import GUMBEL, NUMPY, PUCT, SIBLINGS, contestants, measure, shapes
from mzbench.search.search_models import Shape, random_outputs

TINY = Shape(2, 3, "flat", 4)


@pytest.fixture
def without_mctx(monkeypatch):
    """A machine on which mctx is not installed, and a case small enough for a test."""
    monkeypatch.setitem(sys.modules, "mctx", None)
    monkeypatch.setattr(search, "shapes", lambda quick: [TINY])
    monkeypatch.setattr(timing, "ROUND_S", 0.0)


@pytest.fixture
def with_mctx(monkeypatch):
    """A stand-in for mctx that compiles nothing."""
    monkeypatch.setattr(mctx_reference, "searcher", lambda mctx, name, config, outputs: lambda: None)
    return SimpleNamespace()


def names(shape, mctx):
    return [contestant.name for contestant in contestants(shape, mctx)]


def test_shapes_holds_the_grid_under_both_priors_and_the_line_once_each():
    every = shapes(quick=False)
    assert len(every) == len(set(every)) == 4 * 4 * 2 + 6 - 1
    assert {str(shape) for shape in every} >= {"1x6/flat", "256x362/peaked", "64x18/peaked", "64x18x800/peaked"}


def test_shapes_are_two_when_in_a_hurry():
    assert [str(shape) for shape in shapes(quick=True)] == ["1x18/peaked", "64x18/peaked"]


def test_random_outputs_are_as_wide_as_their_prior_says():
    flat, peaked = (random_outputs(Shape(8, 50, prior)) for prior in ("flat", "peaked"))
    assert flat.policy_logits_KBA.std() == pytest.approx(0.1, rel=0.05)
    assert peaked.policy_logits_KBA.std() == pytest.approx(3.0, rel=0.05)
    assert {array.dtype for array in flat} == {np.dtype(np.float32)}


def test_contestants_are_ours_then_both_of_mctx_then_numpy(with_mctx):
    assert names(TINY, with_mctx) == [PUCT, SIBLINGS, GUMBEL, mctx_reference.MUZERO, mctx_reference.GUMBEL, NUMPY]


def test_contestants_are_without_mctx_past_200_simulations(with_mctx):
    assert mctx_reference.MUZERO in names(Shape(1, 2, "flat", 200), with_mctx)
    assert names(Shape(1, 2, "flat", 201), with_mctx) == [PUCT, SIBLINGS, GUMBEL, NUMPY]


def test_contestants_of_ours_search_every_tree_with_every_simulation():
    for contestant in contestants(TINY, None)[:2]:
        for _ in range(2):
            assert contestant.call().visits_BA.sum(axis=1).tolist() == [4, 4]


def test_numpy_is_tried_on_one_tree_of_all():
    numpy = contestants(TINY, None)[-1]
    assert numpy.call().shape == (2, 3)
    assert numpy.trial().shape == (3,)
    assert numpy.trial_share == 0.5


def test_measure_compares_with_each_reference_that_is_there(without_mctx):
    seen = []
    result = measure(quick=True, progress=lambda *words: seen.append(words))
    assert seen == [(0, 1, "2x3x4/flat")]
    (row,) = result.comparisons
    assert (row.case, row.unit) == ("search/puct/2x3x4/flat", "simulations/s")
    assert (row.ours.name, row.reference.name) == (PUCT, NUMPY)
    assert row.ours.value > 0.0
    assert row.reference.value > 0.0


def test_measure_says_that_mctx_is_missing_and_which_number_stands_alone(without_mctx):
    missing, *alone = measure(quick=True, progress=lambda *words: None).notes
    assert missing == ("mctx is not installed, its rows are left out: pip install -e '.[bench]' -c constraints.txt")
    assert [line.split(":")[0] for line in alone] == [
        "mzpipe pUCT, siblings at 2x3x4/flat has no reference",
        "mzpipe Gumbel at 2x3x4/flat has no reference",
    ]


def test_measure_says_which_contestant_was_too_slow_and_leaves_the_row_out(without_mctx, monkeypatch):
    monkeypatch.setattr(search, "turn_about", functools.partial(timing.turn_about, max_call_s=0.0))
    result = measure(quick=True, progress=lambda *words: None)
    assert result.comparisons == []
    assert "numpy is left out at 2x3x4/flat: one call would take about 0 s" in result.notes


def test_measure_draws_cost_along_each_size_through_the_usual_shape(without_mctx, monkeypatch):
    monkeypatch.setattr(search, "_TREES", 2)
    monkeypatch.setattr(search, "_ACTIONS", 3)
    todo = [Shape(2, 3), Shape(2, 4), Shape(1, 3), Shape(2, 3, num_simulations=60), Shape(2, 3, "flat"), Shape(5, 5)]
    monkeypatch.setattr(search, "shapes", lambda quick: todo)
    panels = measure(quick=True, progress=lambda *words: None).panels
    along = {panel.x_label: [x for x, _ in panel.lines[NUMPY]] for panel in panels}
    assert along == {"actions": [3, 4], "trees": [1, 2], "simulations": [50, 60]}
    assert all(set(panel.lines) == {PUCT, SIBLINGS, GUMBEL, NUMPY} for panel in panels)
