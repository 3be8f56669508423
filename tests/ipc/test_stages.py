"""Stage accounting: every nanosecond counted once, histograms that bound what they counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.ipc.stages import (
    BUCKETS,
    Stage,
    StageClock,
    StageReading,
    bucket_edges_ns,
    bucket_of,
    quantile_us,
    stages_layout,
)
from tests.ipc.clock import Time


def make_words(num_processes=2):
    (shape,) = [field.shape for field in stages_layout(num_processes).fields]
    return np.zeros(shape, np.int64)


@pytest.fixture
def words():
    return make_words()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def clock(words, time):
    clock = StageClock(words, 1, time)
    time.passes(77)
    clock.start()
    return clock


def test_a_lap_with_work_is_its_stages_and_the_rest(words, clock, time):
    time.passes(30)
    clock.skip()
    time.passes(200)
    clock.end(Stage.ENV_STEP, items=16)
    time.passes(500)
    clock.add(Stage.ROOT_SEARCH, items=4)
    time.passes(7)
    clock.lap(work_count=1)
    reading = StageReading(words)
    assert reading.busy_PS[1, Stage.ENV_STEP] == pytest.approx(200e-9)
    assert reading.items_PS[1, Stage.ENV_STEP] == 16
    assert reading.busy_PS[1, Stage.ROOT_SEARCH] == pytest.approx(500e-9)
    assert reading.other_P[1] == pytest.approx(37e-9)
    assert (reading.wait_in_P[1], reading.wait_out_P[1]) == (0, 0)
    assert not reading.items_PS[0].any()


@pytest.mark.parametrize(("is_blocked", "waits"), [(False, (90e-9, 0)), (True, (0, 90e-9))])
def test_a_lap_without_work_waits_for_what_comes_in_or_goes_out(words, clock, time, is_blocked, waits):
    if is_blocked:
        clock.blocked()
    time.passes(90)
    clock.lap(work_count=0)
    reading = StageReading(words)
    assert (reading.wait_in_P[1], reading.wait_out_P[1]) == pytest.approx(waits)
    time.passes(10)
    clock.lap(work_count=0)
    assert StageReading(words).wait_in_P[1] == pytest.approx(waits[0] + 10e-9)


def test_a_starved_lap_is_a_wait_although_it_counts_work(words, clock, time):
    clock.starved()
    time.passes(60)
    clock.lap(work_count=1)
    time.passes(5)
    clock.lap(work_count=1)
    assert (StageReading(words).wait_in_P[1], StageReading(words).other_P[1]) == pytest.approx((60e-9, 5e-9))


def test_the_time_of_laps_in_which_a_stage_goes_on_is_that_stages(words, clock, time):
    for _ in range(3):
        time.passes(10)
        clock.starved()
        clock.goes_on()
        clock.lap(work_count=1)
    time.passes(5)
    clock.end(Stage.INFERENCE_DEVICE, items=2)
    time.passes(7)
    clock.lap(work_count=1)
    reading = StageReading(words)
    assert reading.busy_PS[1, Stage.INFERENCE_DEVICE] == pytest.approx(35e-9)
    assert reading.wait_in_P[1] == 0.0
    assert reading.other_P[1] == pytest.approx(7e-9)


CALLS = st.sampled_from(["end", "add", "skip", "blocked", "goes on", "work", "idle"])


@given(st.lists(st.tuples(CALLS, st.integers(0, 10**9), st.sampled_from(list(Stage))), max_size=30))
def test_all_times_add_up_to_the_wall_time(calls):
    words, time = make_words(), Time()
    clock = StageClock(words, 0, time)
    clock.start()
    before = StageReading(words)
    for call, elapsed_ns, stage in calls:
        time.passes(elapsed_ns)
        {
            "end": lambda stage=stage: clock.end(stage),
            "add": lambda stage=stage: clock.add(stage, 3),
            "skip": clock.skip,
            "blocked": clock.blocked,
            "goes on": clock.goes_on,
            "work": lambda: clock.lap(1),
            "idle": lambda: clock.lap(0),
        }[call]()
    clock.skip()  # a stage may go on
    change = StageReading(words).since(before)
    passed = sum(elapsed_ns for _, elapsed_ns, _ in calls)
    assert change.accounted_P[0] == pytest.approx(passed * 1e-9, abs=1e-9)


@given(st.integers(0, 2**43 - 1))
def test_a_bucket_holds_what_lies_between_its_edges(elapsed_ns):
    edges, bucket = bucket_edges_ns(), bucket_of(elapsed_ns)
    assert edges[bucket] <= elapsed_ns < edges[bucket + 1]


def test_bucket_edges_rise_by_a_quarter_at_most_and_the_last_bucket_takes_the_rest():
    edges = bucket_edges_ns()
    assert len(edges) == BUCKETS + 1
    assert (np.diff(edges) >= 1).all()
    assert (edges[5:] / edges[4:-1]).max() == 1.25
    assert bucket_of(2**60) == BUCKETS - 1


def test_histogram_counts_calls_and_latencies_apart_from_time(words, clock, time):
    time.passes(1_000)
    clock.end(Stage.TREE, items=32)
    clock.took(Stage.ROOT_SEARCH, 5_000)
    reading = StageReading(words)
    assert reading.histogram_PSB[1, Stage.TREE].sum() == 1
    assert reading.histogram_PSB[1, Stage.ROOT_SEARCH, bucket_of(5_000)] == 1
    assert reading.busy_PS[1, Stage.ROOT_SEARCH] == 0


def test_quantile_lies_within_a_quarter_of_the_samples_own():
    samples_ns = np.random.default_rng(0).lognormal(10, 1.5, 5_000).astype(np.int64)
    histogram = np.zeros(BUCKETS, np.int64)
    for sample in samples_ns:
        histogram[bucket_of(int(sample))] += 1
    for fraction in (0.5, 0.99):
        assert quantile_us(histogram, fraction) == pytest.approx(np.quantile(samples_ns, fraction) / 1e3, rel=0.25)
    assert quantile_us(np.zeros(BUCKETS, np.int64), 0.5) is None


def test_a_reading_is_a_copy_and_since_is_what_came_after(words, clock, time):
    before = StageReading(words)
    time.passes(50)
    clock.end(Stage.PUBLISH)
    clock.lap(1)
    assert before.items_PS[1, Stage.PUBLISH] == 0
    assert StageReading(words).since(before).items_PS[1, Stage.PUBLISH] == 1
    assert StageReading(words).since(before).accounted_P[1] == pytest.approx(50e-9)


def test_time_before_a_start_is_not_counted(words, clock, time):
    time.passes(500)
    clock.start()
    time.passes(3)
    clock.lap(0)
    assert StageReading(words).accounted_P[1] == pytest.approx(3e-9)
