"""The measurement that `mzpipe profile` hands the supervisor: warm first, then counts at intervals, then the end."""

from types import SimpleNamespace

import pytest

from mzpipe.launch import profile as verb
from mzpipe.launch.profile import Measurement


@pytest.fixture
def clock(monkeypatch):
    """A time that moves when told; moments and counts are just that time."""
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(verb, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    monkeypatch.setattr(verb, "read_moment", lambda plane: SimpleNamespace(time_s=clock.now_s))
    monkeypatch.setattr(verb, "read_count", lambda plane: clock.now_s)
    return clock


def watch(measurement, clock, until_s, steps=5, turn_s=0.25, trace=None):
    """Turns of the supervisor; the reason for which the run ends, once there is one."""
    plane = SimpleNamespace(total=lambda role, name: steps, trace=lambda: trace)
    while clock.now_s < until_s:
        clock.now_s += turn_s
        reason = measurement(plane)
        if reason is not None:
            return reason
    return None


def test_measurement_counts_every_half_second_from_when_the_run_is_warm(clock):
    measurement = Measurement(5.0)
    assert watch(measurement, clock, 100.0, steps=4) is None
    assert watch(measurement, clock, 200.0) == "measured for 5.0 s"
    begin_s = 100.0 + 0.25 + 10.0
    assert (measurement.first.time_s, measurement.last.time_s) == (begin_s, begin_s + 5.0)
    assert measurement.counts == [begin_s + 0.5 * place for place in range(1, 10)]


def test_measurement_keeps_few_counts_of_a_long_time(clock):
    measurement = Measurement(4_800.0)
    assert watch(measurement, clock, 9_000.0) == "measured for 4800.0 s"
    assert len(measurement.counts) == 239


def test_a_trace_starts_with_the_measurement_and_is_read_at_its_end(clock, monkeypatch):
    seen = []
    trace = SimpleNamespace(start=lambda seconds: seen.append(clock.now_s), stop_when_full=lambda: None)
    monkeypatch.setattr(verb, "read_trace", lambda plane: clock.now_s)
    measurement = Measurement(5.0, trace=True)
    watch(measurement, clock, 100.0, trace=trace)
    assert seen == [measurement.first.time_s]
    assert measurement.trace == measurement.last.time_s
    assert Measurement(5.0).trace is None
