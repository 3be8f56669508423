"""Turn-about timing."""

import pytest
from mzbench import timing
from mzbench.timing import Contestant, Timing, summary, turn_about


@pytest.fixture
def log(monkeypatch):
    """Names of the contestants that were called, in order; a round is one call."""
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    return []


def contestant(name, log, **fields):
    return Contestant(name, lambda: log.append(name), **fields)


def test_turn_about_tries_every_contestant_first_and_then_takes_turns(log):
    turns = turn_about([contestant("a", log), contestant("b", log)], rounds=3)
    assert "".join(log) == "aabb" + "ab" * 3
    assert list(turns.timings) == ["a", "b"]
    assert turns.too_slow == {}


def test_turn_about_calls_again_until_a_round_is_long_enough(log, monkeypatch):
    monkeypatch.setattr(timing, "ROUND_S", 0.01)
    turn_about([contestant("a", log)], rounds=1)
    assert len(log) > 10


def test_turn_about_leaves_out_a_contestant_that_would_take_too_long_and_never_calls_it_whole(log):
    slow = contestant("slow", log, trial=lambda: log.append("part"), trial_share=1e-12)
    turns = turn_about([contestant("a", log), slow], rounds=1)
    assert list(turns.timings) == ["a"]
    assert turns.too_slow["slow"] > timing.MAX_CALL_S
    assert log == ["a", "a", "part", "part", "a"]


def test_turn_about_measures_seconds_per_call(log):
    times = turn_about([contestant("a", log)], rounds=5).timings["a"]
    assert 0.0 < times.seconds < 0.01


def test_summary_is_the_median_and_the_spread_around_it():
    assert summary([3.0, 1.0, 2.0]) == Timing(seconds=2.0, spread=1.0)
