"""The offset of a pod's clock: within its error whatever the link does, and never worse for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.cluster.link_clock import LinkClock
from mzpipe.ipc.pods import Offset

MS = 1_000_000
delays = st.integers(0, 500 * MS)
START_NS = 2 * 10**18


def beat(clock, sent_ns, there_ns, held_ns, back_ns, offset_ns, *, rate=0.0):
    """One heartbeat to the pod, held there, and back; the pod's clock is `offset_ns` ahead, and faster by `rate`."""
    at_ns = sent_ns + there_ns + held_ns
    offset_ns += round(rate * (at_ns - START_NS))
    return clock.hear(at_ns + back_ns, sent_ns, held_ns + round(rate * held_ns), at_ns + offset_ns)


def test_equal_ways_give_the_exact_offset():
    found = beat(LinkClock(), START_NS, 3 * MS, 7 * MS, 3 * MS, offset_ns=-12_345)
    assert found == Offset(-12_345, 3 * MS + 700, 6 * MS)  # the clocks may drift while it is held


@given(
    st.lists(st.tuples(delays, delays, delays, st.integers(0, 10**11)), min_size=1, max_size=20),
    st.integers(-(10**18), 10**18),
    st.floats(-9e-5, 9e-5),
)
def test_offset_is_within_the_error_whatever_the_delays_and_the_drift(beats, offset_ns, rate):
    clock, now_ns = LinkClock(), START_NS
    for there_ns, held_ns, back_ns, pause_ns in beats:
        now_ns += pause_ns
        found = beat(clock, now_ns, there_ns, held_ns, back_ns, offset_ns, rate=rate)
        now_ns += there_ns + held_ns + back_ns + 1
        if found is not None:
            assert abs(found.offset_ns - offset_ns - rate * (now_ns - START_NS)) <= found.error_ns + 2_000


def test_best_heartbeat_stands_and_the_round_trip_is_the_newest():
    clock = LinkClock()
    beat(clock, START_NS, MS, 0, MS, offset_ns=5)
    found = beat(clock, START_NS + 10 * MS, 400 * MS, 0, 2 * MS, offset_ns=5)
    assert (found.offset_ns, found.round_trip_ns) == (5, 402 * MS)
    assert found.error_ns == pytest.approx(MS, rel=0.05)


def test_newer_heartbeat_replaces_a_better_one_from_which_clocks_may_have_drifted():
    clock, minute_ns = LinkClock(), 60_000 * MS
    beat(clock, START_NS, MS, 0, MS, offset_ns=0)
    found = beat(clock, START_NS + minute_ns, 5 * MS, 0, 5 * MS, offset_ns=4 * MS)
    assert found == Offset(4 * MS, 5 * MS, 10 * MS)


@pytest.mark.parametrize(
    ("now_ns", "echo_ns", "held_ns"),
    [(100, 0, 100), (100, -5, 1), (100, 50, 60), (100, 50, -1), (100, 50, 50), (1 << 62, 1, (1 << 63) - 1)],
)
def test_numbers_that_cannot_be_are_left_out(now_ns, echo_ns, held_ns):
    assert LinkClock().hear(now_ns, echo_ns, held_ns, 7) is None
    clock = LinkClock()
    known = beat(clock, 1_000, 5, 0, 5, offset_ns=0)
    assert clock.hear(now_ns, echo_ns, held_ns, 7) == known


@pytest.mark.parametrize("clock_ns", [-1, 1 << 62, 1 << 70])
def test_time_that_no_clock_shows_is_left_out(clock_ns):
    assert LinkClock().hear(1_000, 900, 10, clock_ns) is None


def test_machine_that_has_run_for_ten_years_has_a_clock():
    found = beat(LinkClock(), 10 * 365 * 86_400 * 10**9, MS, 0, MS, offset_ns=7)
    assert found.offset_ns == 7
