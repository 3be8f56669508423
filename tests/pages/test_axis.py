"""Axes: every value within, round marks, ends on marks."""

import numpy as np
import pytest

from mzpipe.pages import Axis, round_up


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 1.0], ["0", "0.25", "0.5", "0.75", "1"]),
        ([-20.7, 16.0], ["-30", "-20", "-10", "0", "10", "20"]),
        ([0.0, 100_000.0], ["0", "25k", "50k", "75k", "100k"]),
        ([0.0, 0.3], ["0", "0.1", "0.2", "0.3"]),
        ([1_100.0, 1_900.0], ["1k", "1.2k", "1.4k", "1.6k", "1.8k", "2k"]),
    ],
)
def test_marks_are_round_and_hold_all_values(values, texts):
    assert [mark.text for mark in Axis(values, 0.0, 100.0).marks] == texts


@pytest.mark.parametrize("value", [0.0, 500.0, -7.3, 1e-6])
def test_a_single_value_stands_inside(value):
    axis = Axis([value, value], 0.0, 100.0)
    assert 20.0 <= axis.at(value) <= 80.0
    assert len(axis.marks) >= 3


def test_values_stand_in_proportion_whichever_way_the_axis_goes():
    axis = Axis([0.0, 8.0], 200.0, 100.0)
    assert [axis.at(value) for value in (0.0, 4.0, 8.0)] == pytest.approx([200.0, 150.0, 100.0])


def test_any_values_are_within_the_ends_and_marks_are_few():
    rng = np.random.default_rng(0)
    for scale in 10.0 ** rng.uniform(-6, 9, 300):
        values = (scale * rng.normal(size=5) + scale * rng.choice([0.0, 100.0])).tolist()
        axis = Axis(values, 0.0, 100.0)
        assert all(-1e-6 <= axis.at(value) <= 100.0 + 1e-6 for value in values)
        assert (axis.marks[0].at, axis.marks[-1].at) == pytest.approx((0.0, 100.0))
        assert 3 <= len(axis.marks) <= 7
        assert len({mark.text for mark in axis.marks}) == len(axis.marks)


def test_round_up_takes_the_next_step():
    assert [round_up(value, (1.0, 2.0, 5.0, 10.0)) for value in (0.0, 1.0, 1.1, 30.0, 0.051, 900.0)] == pytest.approx(
        [1.0, 1.0, 2.0, 50.0, 0.1, 1000.0]
    )
