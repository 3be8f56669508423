"""The measurement that `mzpipe profile` hands the supervisor: warm first, then counts at intervals, then the end."""

from types import SimpleNamespace

import pytest

from mzpipe.errors import ExitCode, PlanError
from mzpipe.ipc.pods import Offset
from mzpipe.launch.signals import Outcome
from mzpipe.measure import pods
from mzpipe.measure import profile as verb
from mzpipe.measure.profile import Measurement, Windows
from mzpipe.telemetry import SilentView
from tests.telemetry.moments import Pipeline
from tests.telemetry.nvml import Nvml, install
from tests.tiny import tiny_profile

CLOCK = Offset(0, 1, 1)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told; moments and counts are just its time."""
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(verb, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    monkeypatch.setattr(verb, "read_moment", lambda plane: SimpleNamespace(time_s=clock.now_s))
    monkeypatch.setattr(verb, "read_count", lambda plane: clock.now_s)
    looks = iter(["before the measurement", "in it"])
    monkeypatch.setattr(verb, "Onlooking", lambda plane: SimpleNamespace(look=lambda: [next(looks)]))
    monkeypatch.setattr(
        verb, "lacking_devices", lambda directory: {"learner"} if directory == "with one GPU" else set()
    )
    return clock


def watch(measurement, clock, until_s, steps=5, turn_s=0.25, trace=None, pods=()):
    """Takes the supervisor's turns; returns the reason why the run ends, once there is one."""
    plane = SimpleNamespace(
        total=lambda name: steps,
        trace=lambda: trace,
        directory="with one GPU",
        shape=SimpleNamespace(pods=len(pods)),
        pod_row=lambda pod: pods[pod],
    )
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


def test_measurement_reads_the_gpus_with_each_count_and_asks_who_lacks_another_one(clock, monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, Nvml([87]))
    measurement = Measurement(5.0)
    watch(measurement, clock, 100.0)
    assert [use["0"].busy for use in measurement.gpu_uses] == [0.87] * 9
    assert measurement.lacking == {"learner"}


def test_measurement_says_who_did_not_work_in_it(clock):
    measurement = Measurement(5.0)
    watch(measurement, clock, 100.0)
    assert measurement.hindrances == ["in it"]


def test_measurement_begins_sooner_where_the_warm_up_is_shorter(clock):
    measurement = Measurement(5.0, windows=Windows(warm_up=3.0))
    watch(measurement, clock, 100.0)
    assert measurement.first.time_s == 0.25 + 3.0


def test_measurement_keeps_few_counts_of_a_long_time(clock):
    measurement = Measurement(4_800.0)
    assert watch(measurement, clock, 9_000.0) == "measured for 4800.0 s"
    assert len(measurement.counts) == 239


def test_a_trace_starts_with_the_measurement_and_is_read_at_its_end(clock, monkeypatch):
    seen = []
    trace = SimpleNamespace(start=lambda seconds: seen.append(clock.now_s), stop_when_full=lambda: None)
    monkeypatch.setattr(verb, "read_trace", lambda plane, pods: clock.now_s)
    measurement = Measurement(5.0, trace=True)
    watch(measurement, clock, 100.0, trace=trace)
    assert seen == [measurement.first.time_s]
    assert measurement.trace == measurement.last.time_s
    assert Measurement(5.0).trace is None


def pod_row(steps):
    return SimpleNamespace(is_linked=True, life_steps=steps, session=1, clock=CLOCK, node="far")


def test_measurement_waits_until_every_pod_plays(clock, monkeypatch):
    monkeypatch.setattr(verb.PodsWatch, "begin", lambda self, plane: None)
    lines = []
    rows, measurement = [pod_row(100), pod_row(0)], Measurement(5.0, note=lines.append)
    watch(measurement, clock, 100.0, pods=rows)
    assert lines == ["1 of 2 pods do not play yet: waiting for them for 300 s"]
    assert measurement.first is None
    rows[1] = pod_row(1)
    watch(measurement, clock, 112.0, pods=rows)
    assert measurement.first.time_s == 100.0 + 0.25 + 10.0


def test_measurement_does_without_a_pod_that_never_plays(clock, monkeypatch):
    monkeypatch.setattr(verb.PodsWatch, "begin", lambda self, plane: None)
    monkeypatch.setattr(verb.PodsWatch, "end", lambda self, plane: None)
    assert watch(Measurement(5.0), clock, 1_000.0, pods=[pod_row(0)]) == "measured for 5.0 s"
    assert 300.0 < clock.now_s < 330.0


@pytest.mark.parametrize(("comes_at_s", "waits_s"), [(0.0, 0.0), (8.0, 8.0), (1_000.0, 20.0)])
def test_measurement_waits_for_the_traces_of_pods_but_not_for_ever(clock, monkeypatch, comes_at_s, waits_s):
    trace = SimpleNamespace(start=lambda seconds: None, stop_when_full=lambda: None)
    monkeypatch.setattr(verb.PodsWatch, "begin", lambda self, plane: None)
    monkeypatch.setattr(verb.PodsWatch, "end", lambda self, plane: None)
    measurement = Measurement(5.0, trace=True)
    ended_s = 0.25 + 10.0 + 5.0
    monkeypatch.setattr(pods, "taken_trace", lambda *_: "the trace" if clock.now_s >= ended_s + comes_at_s else None)
    monkeypatch.setattr(verb, "read_trace", lambda plane, found: [each.trace for each in found])
    assert watch(measurement, clock, 100.0, trace=trace, pods=[pod_row(1)]) == "measured for 5.0 s"
    assert clock.now_s == ended_s + waits_s
    assert measurement.trace == ["the trace"] * (comes_at_s < 1_000.0)


def test_measurement_waits_for_no_trace_of_a_pod_that_has_left_or_came_later(clock, monkeypatch):
    trace = SimpleNamespace(start=lambda seconds: rows.append(pod_row(1)), stop_when_full=lambda: None)
    monkeypatch.setattr(verb.PodsWatch, "begin", lambda self, plane: None)
    monkeypatch.setattr(verb.PodsWatch, "end", lambda self, plane: None)
    monkeypatch.setattr(pods, "taken_trace", lambda *_: None)
    monkeypatch.setattr(verb, "read_trace", lambda plane, found: found)
    rows, measurement = [pod_row(1)], Measurement(5.0, trace=True)
    watch(measurement, clock, 12.0, trace=trace, pods=rows)
    rows[0].is_linked = False
    assert watch(measurement, clock, 100.0, trace=trace, pods=rows) == "measured for 5.0 s"
    assert (clock.now_s, measurement.trace) == (0.25 + 10.0 + 5.0, [])


@pytest.fixture
def ran(monkeypatch):
    """A run that ends with `exit_code` once it is measured; collects whether roles were measured alone."""

    def make(exit_code, found):
        pipeline, asked = Pipeline(), []

        def train(profile, run, view, *, watch, trace_events, ray):
            watch.first, watch.last = pipeline.moment(0.0), pipeline.moment(1.0)
            return Outcome(exit_code, "ended")

        def measure_ceilings(*arguments):
            asked.append(arguments)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(verb, "train", train)
        monkeypatch.setattr(verb, "measure_ceilings", measure_ceilings)
        return verb.measure_profile(tiny_profile(), 5.0, SilentView(), ceilings=True), asked

    return make


def test_a_signal_while_the_run_stops_is_the_end_of_it(ran):
    measured, asked = ran(ExitCode.INTERRUPTED, None)
    assert asked == []
    assert (measured.outcome.exit_code, measured.ceilings, measured.failure) == (ExitCode.INTERRUPTED, None, None)
    assert measured.report is not None


def test_what_was_measured_stands_when_a_role_cannot_be_measured_alone(ran):
    measured, asked = ran(ExitCode.FINISHED, PlanError("/dev/shm: full"))
    assert len(asked) == 1
    assert measured.report is not None
    assert measured.ceilings is None
    assert str(measured.failure) == "/dev/shm: full"


def test_a_signal_while_a_role_is_alone_is_how_it_ended(ran):
    measured, _ = ran(ExitCode.FINISHED, Outcome(ExitCode.TERMINATED, "SIGTERM"))
    assert measured.outcome.exit_code == ExitCode.TERMINATED
    assert measured.report is not None
    assert measured.ceilings is None
