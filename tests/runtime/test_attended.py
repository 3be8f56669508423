"""A clock that leaves out the time in which nobody looked at it."""

import pytest

from mzpipe.runtime.attended import AttendedClock
from tests.launch.fakes import Clock


@pytest.fixture
def clock():
    return Clock()


def test_clock_counts_time_that_is_looked_at(clock):
    attended = AttendedClock(1.0, clock.monotonic)
    began_s = attended.now_s()
    for _ in range(100):
        clock.now_s += 0.9
        attended.now_s()
    assert attended.now_s() - began_s == pytest.approx(90.0)
    assert attended.absences == 0


def test_clock_counts_no_more_of_an_absence_than_a_look_may_take(clock):
    attended = AttendedClock(1.0, clock.monotonic)
    began_s = attended.now_s()
    for _ in range(2):
        clock.now_s += 3600.0
        assert attended.now_s() == attended.now_s()
    assert attended.now_s() - began_s == pytest.approx(2.0)
    assert attended.absences == 2


def test_clock_counts_nothing_of_a_call_in_which_the_process_was_away(clock):
    attended = AttendedClock(clock=clock.monotonic)
    began_s = attended.now_s()

    def stop():
        clock.now_s += 3600.0

    clock.now_s += 7.0
    attended.leave(stop)
    clock.now_s += 5000.0  # without `most_s` any work may take long
    assert attended.now_s() - began_s == pytest.approx(5007.0)
    assert attended.absences == 1
