"""Numbers as people read them."""

import math

import pytest

from mzpipe import format


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0"), (940, "940"), (999, "999"), (999.7, "1k"), (9_800, "9.8k"), (12_400, "12.4k"), (100_000, "100k")]
    + [(999_700, "1M"), (1_250_000, "1.25M"), (3e9, "3G"), (-12_400, "-12.4k"), (math.nan, "-")],
)
def test_compact_keeps_three_digits(n: float, text: str) -> None:
    assert format.compact(n) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [(2.31, "2.31"), (58.0, "58"), (58.24, "58.2"), (148.4, "148"), (25_600.4, "25,600"), (0.4, "0.4"), (0.0, "0")]
    + [(math.nan, "-"), (math.inf, "inf")],
)
def test_number_keeps_three_digits_or_all_whole_ones(x: float, text: str) -> None:
    assert format.number(x) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"),
        (0.25, "0.25"),
        (-20.0, "-20"),
        (312.5, "312.5"),
        (1_000.0, "1k"),
        (13_225.0, "13.225k"),
        (1.25e6, "1.25M"),
    ],
)
def test_exact_keeps_all_digits_of_a_round_number(x: float, text: str) -> None:
    assert format.exact(x) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (59.6, "1m00s"), (45.0, "45s"), (130.0, "2m10s"), (11_100.0, "3h05m"), (187_200.0, "2d04h")],
)
def test_duration_names_its_two_largest_units(seconds: float, text: str) -> None:
    assert format.duration(seconds) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0%"), (0.0004, "<0.1%"), (0.003, "0.3%"), (0.0997, "10%"), (0.314, "31%"), (1.0, "100%"), (math.nan, "-")],
)
def test_percent_shows_small_fractions_apart_from_none(fraction: float, text: str) -> None:
    assert format.percent(fraction) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0.4, "0.4 us"), (623.0, "623 us"), (4_669.7, "4.67 ms"), (97_900.0, "97.9 ms"), (1.5e6, "1.5 s"), (None, "-")],
)
def test_latency_is_in_the_unit_that_keeps_it_short(microseconds: float | None, text: str) -> None:
    assert format.latency(microseconds) == text


def test_clock_counts_past_a_day() -> None:
    assert format.clock(754.9) == "0:12:34"
    assert format.clock(100 * 3600.0) == "100:00:00"


def test_count_and_score_group_thousands() -> None:
    assert format.count(12_400) == "12,400"
    assert format.score(-1_120.46) == "-1,120.5"


def test_score_has_three_digits_where_returns_are_small() -> None:
    assert [format.score(each) for each in (0.7312, -2.414, 12.04, 0.0)] == ["0.731", "-2.41", "12.0", "0.0"]
