"""Counters: amounts in their units, sums over the roles that keep them, and the time that a wait clock counts."""

import numpy as np
import pytest

from mzpipe.ipc import counters as module
from mzpipe.ipc.counters import COUNTERS, Counters, WaitClock, counters_layout, sums
from tests.launch.fakes import Clock

ROLES = ("learner", "learner", "replay", "actor", "actor")


@pytest.fixture
def words():
    layout = counters_layout(len(ROLES))
    return layout.views(bytearray(layout.nbytes))["words"]


def test_every_counter_has_a_word_of_its_own(words):
    counters = Counters(words, 0)
    for value, counter in enumerate(COUNTERS, start=1):
        counters.set(counter.name, value)
    assert [counters.value(counter.name) for counter in COUNTERS] == list(range(1, len(COUNTERS) + 1))
    assert not words[1:].any()


def test_counter_keeps_fractions_and_seconds_in_millionths_and_gives_them_back(words):
    counters = Counters(words, 0)
    for _ in range(3):
        counters.add("staleness", 0.25)
        counters.add("sample_wait", np.float32(0.5))
        counters.add("env_steps", np.int64(7))
    counters.set("queue_fill", 0.125)
    assert [counters.value(name) for name in ("staleness", "sample_wait", "queue_fill")] == [0.75, 1.5, 0.125]
    assert counters.get("staleness") == 750_000
    assert counters.get("env_steps") == 21


@pytest.mark.parametrize("number", [9.3e12, 1e300, np.float32(np.inf), 1 << 70])
def test_counter_keeps_the_largest_word_when_a_number_has_none_and_leaves_nan_out(words, number):
    counters, largest = Counters(words, 0), (1 << 63) - 1
    for change in (counters.add, counters.set):
        change("loss_total", 1.5)
        change("loss_total", float("nan"))
        assert counters.get("loss_total") == 1_500_000
        change("loss_total", number)
        change("loss_total", number)
        assert counters.get("loss_total") == largest
        change("loss_total", -2 * number)
        change("loss_total", -2 * number)
        assert counters.get("loss_total") == -largest
        counters.set("loss_total", 0)


def test_sums_are_over_the_processes_that_keep_a_counter(words):
    for process in range(len(ROLES)):
        counters = Counters(words, process)
        counters.add("restarts")
        counters.add("env_steps", 10)
        counters.add("episode_return", 1.5)
        counters.set("stored", 5)
    totals = sums(words, ROLES)
    assert (totals["restarts"], totals["env_steps"], totals["episode_return"]) == (5, 20, 3.0)
    assert "stored" not in totals
    assert set(totals) == {counter.name for counter in COUNTERS if counter.kind.adds_up}


def test_wait_clock_counts_a_lap_into_the_counter_that_was_marked_in_it(words, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    waits = WaitClock(Counters(words, 2))
    for marked in ("sample_wait", "insert_wait", None):
        waits.lap()
        if marked:
            waits.mark(marked)
            waits.mark(marked)
        clock.now_s += 0.25
    waits.lap()
    assert [Counters(words, 2).value(name) for name in ("sample_wait", "insert_wait")] == [0.25, 0.25]
