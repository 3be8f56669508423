"""The trace: kept events are whole and in order; without a trace nothing is spent and nothing is left."""

import numpy as np
import pytest

from mzpipe.ipc import atomics, trace
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.lane import RequestKind
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage, StageClock, stages_layout
from mzpipe.ipc.trace import Mark, NoStage, Trace, TraceWriter, trace_layout
from tests.ipc.clock import Time
from tests.ipc.peer import TRACE_EVENTS, open_arrays
from tests.ipc.processes import peer
from tests.ipc.test_lane import make_shape

NUM_EVENTS = 8
EVER_NS = 1 << 62


@pytest.fixture
def arrays():
    return {field.name: np.zeros(field.shape, field.dtype) for field in trace_layout(2, NUM_EVENTS).fields}


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def writer(arrays, time):
    arrays["window"][0] = EVER_NS
    return TraceWriter(arrays, 1, time)


@pytest.fixture
def clock(writer, time):
    (shape,) = [field.shape for field in stages_layout(2).fields]
    return StageClock(np.zeros(shape, np.int64), 1, time, writer)


def kept(arrays, row=1):
    return Trace(arrays).read()[row].event_EW.tolist()


def test_every_moment_of_a_stage_clock_is_in_one_of_its_consecutive_slices(arrays, clock, time):
    begin_ns = time.now_ns
    for elapsed_ns, end in (
        (30, clock.skip),
        (200, lambda: clock.end(Stage.ENV_STEP, 16)),
        (5, lambda: clock.add(Stage.ROOT_SEARCH, 4)),
        (7, lambda: clock.lap(0)),
    ):
        time.passes(elapsed_ns)
        end()
    assert kept(arrays) == [
        [begin_ns, begin_ns + 30, NoStage.OTHER, 0],
        [begin_ns + 30, begin_ns + 230, Stage.ENV_STEP, 16],
        [begin_ns + 230, begin_ns + 235, Stage.ROOT_SEARCH, 4],
        [begin_ns + 235, begin_ns + 242, NoStage.WAIT_IN, 0],
    ]
    assert kept(arrays, row=0) == []


def test_a_mark_lies_in_the_stage_that_ends_after_it(arrays, clock, time):
    time.passes(10)
    clock.mark(Mark.BATCH_SENT, 3, 41)
    time.passes(10)
    clock.end(Stage.REPLAY_SAMPLE)
    mark, sample = kept(arrays)
    assert mark == [1_010, 3, Mark.BATCH_SENT, 41]
    assert sample[:2] == [1_000, 1_020]


def test_a_continued_wait_is_one_slice_until_something_comes_between(arrays, clock, time):
    for work_count in (0, 0, 0, 1, 0):
        time.passes(10)
        clock.lap(work_count)
    clock.mark(Mark.ANSWER_TAKEN, 0, 1)
    time.passes(10)
    clock.lap(0)
    assert [event[:3] for event in kept(arrays) if event[2] < min(Mark)] == [
        [1_000, 1_030, NoStage.WAIT_IN],
        [1_030, 1_040, NoStage.OTHER],
        [1_040, 1_050, NoStage.WAIT_IN],
        [1_050, 1_060, NoStage.WAIT_IN],
    ]


def test_a_full_row_keeps_what_it_has_and_counts_what_it_loses(arrays, clock, time):
    for number in range(NUM_EVENTS + 3):
        time.passes(10)
        clock.end(Stage.TREE, number)
    time.passes(10)
    clock.lap(0)
    clock.mark(Mark.ANSWER_TAKEN, 0, 1)
    row = Trace(arrays).read()[1]
    assert row.event_EW[:, 3].tolist() == list(range(NUM_EVENTS))
    assert row.lost == 5


def test_a_full_row_ends_the_window_of_all(arrays, writer):
    whole = Trace(arrays)
    for number in range(NUM_EVENTS):
        whole.stop_when_full()
        assert arrays["window"][0] == EVER_NS
        writer.slice(Stage.TREE, number, number + 1)
    whole.stop_when_full()
    assert 0 < arrays["window"][0] < EVER_NS


def test_nothing_is_kept_before_the_window_opens_and_after_it_ends(arrays, clock, time):
    def all_calls():
        time.passes(10)
        clock.end(Stage.TREE)
        clock.mark(Mark.ANSWER_TAKEN, 0, 1)
        clock.lap(0)

    arrays["window"][0] = 0
    all_calls()
    arrays["window"][0] = time.now_ns - 1
    all_calls()
    assert not arrays["count"].any()
    assert not arrays["event"].any()


def test_start_opens_the_window_for_the_given_time(arrays):
    writer = TraceWriter(arrays, 1)
    Trace(arrays).start(3600.0)
    writer.mark(Mark.BATCH_SENT, 0, 0)
    assert len(kept(arrays)) == 1
    Trace(arrays).start(-1.0)
    writer.mark(Mark.BATCH_SENT, 0, 1)
    assert len(kept(arrays)) == 1


def test_a_successor_writes_after_the_events_of_a_process_that_died(arrays, writer):
    writer.slice(Stage.TREE, 10, 20)
    TraceWriter(arrays, 1).slice(Stage.TREE, 30, 40)
    assert [event[:2] for event in kept(arrays)] == [[10, 20], [30, 40]]


def test_an_event_is_whole_when_its_count_is_stored_with_release(arrays, writer, monkeypatch):
    stored = []

    def store_release(words, index, value):
        stored.append(arrays["event"][1, value - 1].tolist())
        assert words[index] == value - 1  # no store before has counted the event
        words[index] = value

    monkeypatch.setattr(trace.atomics, "store_release", store_release)
    writer.slice(Stage.TREE, 10, 20, 4)
    writer.mark(Mark.BATCH_SENT, 3, 41)
    assert stored == [[10, 20, Stage.TREE, 4], [1_000, 3, Mark.BATCH_SENT, 41]]


@pytest.mark.slow
def test_a_reader_sees_only_whole_events_while_another_process_writes(shm_path):
    arrays = open_arrays(shm_path, "trace", trace_layout(2, TRACE_EVENTS), create=True)
    arrays["window"][0] = EVER_NS
    number_E = np.arange(1, TRACE_EVENTS + 1)
    expected_EW = np.stack([number_E, number_E + 1, number_E % 16, -number_E], axis=1)
    counts = {0}
    with peer("write_trace", shm_path) as process:
        while max(counts) < TRACE_EVENTS:
            assert process.poll() in (None, 0)
            event_EW = Trace(arrays).read()[1].event_EW
            assert (event_EW == expected_EW[: len(event_EW)]).all()
            counts.add(len(event_EW))
            atomics.yield_core()
        assert process.wait(120) == 0
    assert len(counts) > 3  # the reader looked while the writer wrote


def test_a_plane_has_a_trace_only_where_one_was_asked_for(shm_path):
    none, some = make_shape(), make_shape(trace_events=100)
    assert "trace" not in none.segments()
    assert some.segments()["trace"].nbytes >= 100 * 32 * len(some.members())
    plane = DataPlane.create(shm_path, some)
    plane.trace().start(3600.0)
    member = Member("actor", 1)
    DataPlane.attach(shm_path).stage_clock(member).end(Stage.ENV_STEP, 5)
    rows = plane.trace().read()
    assert [len(row.event_EW) for row in rows] == [int(each == member) for each in some.members()]


def test_without_a_trace_clocks_and_lanes_have_nothing_to_write_to(shm_path):
    plane = DataPlane.create(shm_path, make_shape())
    assert plane.trace_writer(Member("actor", 0)) is None
    plane.stage_clock(Member("actor", 0)).mark(Mark.BATCH_SENT, 0, 0)


def test_both_ends_of_a_lane_mark_the_same_request(shm_path):
    shape = make_shape(trace_events=100, actors=3, inference_servers=2)
    plane, actor, server = DataPlane.create(shm_path, shape), Member("actor", 1), Member("inference", 1)
    plane.trace().start(3600.0)
    lane, lanes = plane.lane_clients(actor)[1], plane.lane_server(1)
    for kind in RequestKind:
        lane.request(kind, node_index=0, num_rows=1)
        lanes.gathered(lanes.pending())
        lanes.respond(lanes.pending())
        lane.taken()
    place, rows = shape.first_lane(1) + 1, plane.trace().read()
    asked = [Mark.ROOT_ASKED, Mark.ANSWER_TAKEN, Mark.SIMULATION_ASKED, Mark.ANSWER_TAKEN]
    client, gathered = (rows[plane.index(member)].event_EW for member in (actor, server))
    assert client[:, 1:].tolist() == [[place, mark, 1 + number // 2] for number, mark in enumerate(asked)]
    assert gathered[:, 1:].tolist() == [[place, Mark.REQUEST_GATHERED, number] for number in (1, 2)]
    assert (client[[0, 2], 0] <= gathered[:, 0]).all() and (gathered[:, 0] <= client[[1, 3], 0]).all()


def test_lanes_of_all_servers_are_counted_through():
    shape = make_shape(actors=3, lanes_per_actor=2, inference_servers=2)
    lanes = [shape.first_lane(server) + lane for server in range(2) for lane in range(len(shape.lane_clients(server)))]
    assert lanes == list(range(7))
