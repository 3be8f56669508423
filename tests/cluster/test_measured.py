"""A measured run and its pod over a real socket: readings, the trace, and one clock."""

import time

import pytest

from mzpipe.cluster import protocol
from mzpipe.cluster.readings import STAGES, TRACE, taken_reading, taken_trace
from mzpipe.errors import UsageError
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.ipc.trace import MARK_POD_SHIFT, Mark
from mzpipe.measure.pods import PodsWatch, PodTraces, playing_pods
from tests.cluster.rig import Head, Pod, step

EVENTS = 5_000


@pytest.fixture
def head(tmp_path, request):
    head = Head(tmp_path / "head", trace_events=getattr(request, "param", EVENTS))
    yield head
    head.close()


def traced(head):
    return taken_trace(head.plane.directory, 0, head.row.session)


def newest(head):
    return taken_reading(head.plane.directory, 0, head.row.session)


def test_pod_of_a_measured_run_tells_what_its_processes_did(head, pod):
    step(head, pod, until=lambda: newest(head) is not None)
    first = newest(head)
    assert first.moment.members == tuple(pod.plan.shape.members())
    pod.play(0)
    step(head, pod, until=lambda: newest(head).link["pod_transitions"] == 5)
    change = newest(head).moment.stages.since(first.moment.stages)
    assert change.items_PS[pod.plane.index(Member(Role.UPLINK, 0)), Stage.UPLINK_SEND] == 5


@pytest.mark.parametrize("head", [None], indirect=True)
def test_pod_of_another_run_tells_nothing_and_may_not(head, pod):
    step(head, pod, until=lambda: head.row.clock is not None)
    assert newest(head) is None
    pod.uplink._send(protocol.Part(STAGES, 0, 1), b"1")
    with pytest.raises(UsageError, match="sends what no pod sends: Part"):
        step(head, pod, until=lambda: False)


def test_clocks_of_one_machine_are_found_equal_within_the_error(head, pod):
    step(head, pod, until=lambda: head.row.clock is not None)
    found = head.row.clock
    assert abs(found.offset_ns) <= found.error_ns
    assert found.round_trip_ns > 0


def test_another_life_of_a_pod_has_a_clock_of_its_own(head, pod, tmp_path):
    step(head, pod, until=lambda: head.row.clock is not None)
    pod.close()
    other = Pod(tmp_path / "other", head)
    step(head, other, until=lambda: other.uplink._is_joined)
    assert head.row.clock is None
    step(head, other, until=lambda: head.row.clock is not None)
    other.close()


def test_another_life_of_a_pod_tells_anew(head, pod, tmp_path):
    step(head, pod, until=lambda: newest(head) is not None)
    pod.close()
    other = Pod(tmp_path / "other", head)
    step(head, other, until=lambda: other.uplink._is_joined and newest(head) is None)
    step(head, other, until=lambda: newest(head) is not None)
    other.close()


def test_trace_of_a_pod_comes_once_its_window_is_over(head, pod):
    assert pod.plane.shape.trace_events == EVENTS
    traces = PodTraces()
    traces.begin(head.plane)
    traces.look(head.plane)
    assert not traces.are_complete(head.plane)
    head.plane.trace().start(3.0)
    step(head, pod, until=lambda: pod.plane.trace().remaining_ns() > 0)
    pod.play(1)
    step(head, pod, until=lambda: traced(head) is not None)
    trace = traced(head)
    uplink = trace.rows[trace.members.index(Member(Role.UPLINK, 0))].event_EW
    sent = uplink[uplink[:, 2] == Mark.RECORD_SENT]
    gateway = head.plane.trace().read()[head.plane.index(Member(Role.GATEWAY, 0))].event_EW
    taken = gateway[gateway[:, 2] == Mark.RECORD_TAKEN]
    assert (sent[0, 1], sent[0, 3]) == (1, 0)
    assert (taken[0, 1], taken[0, 3]) == (0 << MARK_POD_SHIFT | 1, 0)
    traces.look(head.plane)
    (found,) = traces.found
    assert sent[0, 0] - found.clock.offset_ns <= taken[0, 0] + found.clock.error_ns
    assert (found.pod, found.name) == (0, f"pod-0 on {head.row.node}")
    assert traces.are_complete(head.plane)


def test_trace_that_a_gateway_has_lost_is_sent_again(head, pod):
    head.plane.trace().start(0.5)
    step(head, pod, until=lambda: pod.uplink._readings._is_traced and not pod.uplink._readings._parts)
    head.kill()
    for path in head.plane.directory.glob("*.trace"):
        path.unlink()
    head.start(1)
    step(head, pod, until=lambda: traced(head) is not None)


def test_trace_of_an_uplink_that_was_killed_comes_from_its_successor(head, pod):
    head.plane.trace().start(0.5)
    step(head, pod, until=lambda: pod.plane.trace().has_begun)
    pod.kill()
    step(head, until=lambda: head.plane.trace().remaining_ns() < 0)
    pod.start(1)
    step(head, pod, until=lambda: traced(head) is not None)


def test_window_of_a_pod_begins_at_once_and_ends_with_the_runs(head, pod):
    step(head, pod, until=lambda: head.row.clock is not None)
    head.plane.trace().start(1_000.0)
    began_ns = time.monotonic_ns()
    step(head, pod, until=lambda: pod.plane.trace().has_begun)
    assert time.monotonic_ns() - began_ns < protocol.BEAT_S * 1e9 / 2
    head.plane.trace().stop()
    step(head, pod, until=lambda: traced(head) is not None)


def test_measurement_is_no_part_of_what_the_link_carries(head, pod):
    step(head, pod, until=lambda: newest(head) is not None)
    counted = pod.uplink._counters.get("link_bytes_out")
    pod.uplink._readings._may_send = True
    pod.uplink._readings.heartbeat()
    pod.uplink._readings.do_work()
    assert pod.uplink._counters.get("link_bytes_out") == counted


def test_one_part_follows_each_word_of_the_run(head, pod):
    sender = pod.uplink._readings
    sender._parts.clear()
    sender._queue(STAGES, bytes(3 * protocol.CHUNK_BYTES))
    sender._may_send = True
    assert [sender.do_work(), sender.do_work()] == [1, 0]
    sender.credit(0)
    assert [sender.do_work(), sender.do_work()] == [1, 0]
    assert [part.part for part, _ in sender._parts] == [2]


def test_pod_that_joins_within_the_window_is_traced_for_the_rest_of_it(head, tmp_path):
    head.plane.trace().start(2.0)
    ends_ns = time.monotonic_ns() + head.plane.trace().remaining_ns()
    late = Pod(tmp_path / "late", head)
    step(head, late, until=lambda: late.plane.trace().remaining_ns() > 0)
    assert time.monotonic_ns() + late.plane.trace().remaining_ns() <= ends_ns + 500_000_000
    step(head, late, until=lambda: traced(head) is not None)
    late.close()


def test_measurement_reads_a_pod_twice_and_compares(head, pod):
    step(head, pod, until=lambda: newest(head) is not None)
    assert playing_pods(head.plane) == []
    watch, began = PodsWatch(), newest(head).moment.time_s
    watch.begin(head.plane)
    pod.play(0)
    step(head, pod, until=lambda: newest(head).link["pod_transitions"] == 5 and newest(head).moment.time_s > began)
    watch.end(head.plane)
    (use,) = watch.uses
    seconds = newest(head).moment.time_s - began
    assert use.name == f"pod-0 on {head.row.node}"
    assert use.link.transitions_per_s == pytest.approx(5 / seconds)
    assert use.link.weights_delay_s is None
    assert use.link.bytes_to_run_per_s > 0.0
    assert use.report.seconds == pytest.approx(seconds)
    assert set(use.report.processes) == {member.identity for member in pod.plan.shape.members()}
    assert use.as_json()["link"]["clock"]["error_ns"] == head.row.clock.error_ns
    assert playing_pods(head.plane) == [0]


def test_pod_that_has_begun_another_life_has_no_report(head, pod, tmp_path):
    step(head, pod, until=lambda: newest(head) is not None)
    watch = PodsWatch()
    watch.begin(head.plane)
    pod.close()
    other = Pod(tmp_path / "other", head)
    step(head, other, until=lambda: head.row.is_linked and other.uplink._is_joined and head.row.clock is not None)
    watch.end(head.plane)
    assert watch.uses == ()
    other.close()


def test_reading_that_cannot_be_read_is_left_out(head, pod):
    step(head, pod, until=lambda: newest(head) is not None)
    for what in (STAGES, TRACE):
        (head.plane.directory / f"pod-0.{head.row.session:x}.{what}").write_bytes(b"?")
    watch, traces = PodsWatch(), PodTraces()
    watch.begin(head.plane)
    watch.end(head.plane)
    traces.begin(head.plane)
    traces.look(head.plane)
    assert (watch.uses, traces.found, traces.are_complete(head.plane)) == ((), [], True)
