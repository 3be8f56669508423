"""The trace as a file: slices one after the other, arrows from a start to a finish, times that only rise."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from mzpipe.cluster.readings import PodTrace
from mzpipe.ipc.pods import Offset
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.ipc.trace import MARK_POD_SHIFT, Mark, NoStage, Trace, TraceWriter, trace_layout
from mzpipe.measure.pods import TracedPod
from mzpipe.measure.trace import TraceReading, read_trace, render_trace
from tests.measure.traces import check_trace, flows

MEMBERS = tuple(Member(role, 0) for role in ("learner", "inference", "replay", "actor"))
POD_MEMBERS = tuple(Member(role, 0) for role in ("inference", "uplink", "actor"))
HEAD_MEMBERS = (*MEMBERS, Member("gateway", 0))
NUM_EVENTS = 100
LANE, RANK = 2, 0
POD, ACTOR, RECORD = 3, 1, 17


class Session:
    """Processes that record what they did, at given microseconds."""

    def __init__(self, members=MEMBERS):
        self.members, layout = members, trace_layout(len(members), NUM_EVENTS)
        self.arrays = {field.name: np.zeros(field.shape, field.dtype) for field in layout.fields}
        self.arrays["window"][0] = 1 << 62
        self.now_us = 0
        self.writers = {
            member.role: TraceWriter(self.arrays, row, lambda: 1_000 * self.now_us)
            for row, member in enumerate(members)
        }

    def works(self, role, kind, begin_us, end_us, *marks, items=1):
        """A slice, and the marks in it: (microsecond, mark, place, sequence)."""
        for self.now_us, mark, place, sequence in marks:
            self.writers[role].mark(mark, place, sequence)
        self.writers[role].slice(kind, 1_000 * begin_us, 1_000 * end_us, items)

    def simulation(self, begin_us, sequence):
        """One request of the actor, from its TREE slice to the next."""
        asked, gathered = (Mark.SIMULATION_ASKED, LANE, sequence), (Mark.REQUEST_GATHERED, LANE, sequence)
        self.works("actor", Stage.TREE, begin_us, begin_us + 10, (begin_us + 8, *asked), items=16)
        self.works("inference", Stage.INFERENCE_GATHER, begin_us + 10, begin_us + 20, (begin_us + 12, *gathered))
        self.works("inference", Stage.INFERENCE_DEVICE, begin_us + 20, begin_us + 50)
        self.works("inference", Stage.INFERENCE_REPLY, begin_us + 50, begin_us + 60)
        self.works("actor", NoStage.WAIT_IN, begin_us + 10, begin_us + 55)
        taken = (begin_us + 57, Mark.ANSWER_TAKEN, LANE, sequence)
        self.works("actor", Stage.TREE, begin_us + 55, begin_us + 65, taken)

    def batch(self, begin_us, sequence, priorities, *, skipped=False):
        """One batch, and its priorities where the step was not skipped."""
        sent, taken = (Mark.BATCH_SENT, RANK, sequence), (Mark.BATCH_TAKEN, RANK, sequence)
        self.works("replay", Stage.REPLAY_SAMPLE, begin_us, begin_us + 20, (begin_us + 18, *sent))
        self.works("learner", Stage.FORWARD, begin_us + 25, begin_us + 40, (begin_us + 26, *taken))
        self.works("learner", Stage.BACKWARD, begin_us + 40, begin_us + 60)
        if skipped:
            return
        self.works("learner", Stage.OPTIMIZER, begin_us + 60, begin_us + 65)
        back = (RANK, priorities)
        self.works("learner", NoStage.OTHER, begin_us + 65, begin_us + 70, (begin_us + 67, Mark.PRIORITIES_SENT, *back))
        self.works("replay", NoStage.OTHER, begin_us + 68, begin_us + 80, (begin_us + 75, Mark.PRIORITIES_TAKEN, *back))

    def reading(self):
        return TraceReading(self.members, tuple(Trace(self.arrays).read()))

    def events(self):
        return check_trace(render_trace(self.reading()))


@pytest.fixture
def session():
    return Session()


def test_slices_have_the_names_and_times_of_their_stages(session):
    session.works("actor", Stage.ENV_STEP, 100, 130, items=16)
    session.works("actor", NoStage.WAIT_OUT, 130, 150)
    step, wait = [event for event in session.events() if event["ph"] == "X"]
    assert (step["name"], step["cat"], step["args"]) == ("env step", "actor", {"env steps": 16})
    assert (step["ts"], step["dur"]) == (0.0, 30.0)
    assert (wait["name"], wait["cat"], wait["ts"], wait["dur"]) == ("wait out", "wait", 30.0, 20.0)
    assert step["pid"] == wait["pid"] == MEMBERS.index(Member("actor", 0)) + 1


def test_every_process_has_its_name_and_they_stand_in_the_order_of_the_pipeline(session):
    names = [event for event in session.events() if event["ph"] == "M"]
    by_name = {
        kind: {event["pid"]: event["args"] for event in names if event["name"] == kind}
        for kind in ("process_name", "thread_name", "process_sort_index")
    }
    identities = {pid: {"name": member.identity} for pid, member in enumerate(MEMBERS, 1)}
    assert by_name["process_name"] == by_name["thread_name"] == identities
    places = sorted(identities, key=lambda pid: by_name["process_sort_index"][pid]["sort_index"])
    assert [identities[pid]["name"] for pid in places] == ["actor-0", "inference-0", "replay-0", "learner-0"]


def test_a_simulation_goes_from_the_actor_through_the_server_and_back(session):
    session.simulation(100, sequence=7)
    session.simulation(200, sequence=8)
    whole = [("actor-0", "select/backup"), ("inference-0", "inference gather"), ("inference-0", "inference device")]
    whole += [("inference-0", "reply"), ("actor-0", "select/backup")]
    assert flows(session.events()) == [("simulation", whole), ("simulation", whole)]


def test_a_batch_goes_from_its_sample_to_its_priorities(session):
    session.batch(100, sequence=4, priorities=3)
    whole = [("replay-0", "sample"), ("learner-0", "learner forward"), ("learner-0", "learner backward")]
    assert flows(session.events()) == [("batch", [*whole, ("learner-0", "other"), ("replay-0", "other")])]


def test_a_skipped_step_has_no_flow_and_does_not_shift_the_next(session):
    session.batch(100, sequence=4, priorities=3, skipped=True)
    session.batch(200, sequence=5, priorities=3)
    ((name, _),) = flows(session.events())
    start = next(event for event in session.events() if event["ph"] == "s")
    assert (name, start["ts"]) == ("batch", 118.0)


def test_what_was_recorded_in_part_has_slices_and_no_flow(session):
    session.works("actor", Stage.TREE, 0, 10, (8, Mark.SIMULATION_ASKED, LANE, 1))
    session.works("inference", Stage.INFERENCE_GATHER, 10, 20, (12, Mark.REQUEST_GATHERED, LANE, 1))
    session.works("actor", Stage.TREE, 90, 99, (91, Mark.ANSWER_TAKEN, LANE, 9))
    session.now_us = 120
    session.writers["actor"].mark(Mark.SIMULATION_ASKED, LANE, 10)  # there was no room for its slice
    assert flows(session.events()) == []


def test_lost_events_are_counted_and_the_time_is_that_of_the_slices(session):
    for number in range(NUM_EVENTS + 5):
        session.works("actor", Stage.TREE, 1_000 * number, 1_000 * number + 900)
    reading = session.reading()
    assert (reading.num_events, reading.lost) == (NUM_EVENTS, 5)
    assert reading.seconds == pytest.approx(0.0999)
    assert json.loads(render_trace(reading))["otherData"]["lost"] == 5


def test_a_trace_of_nothing_is_a_file_of_names(session):
    assert {event["ph"] for event in session.events()} == {"M"}
    assert session.reading().seconds == 0.0


def both(head, pod, *, ahead_us, error_us=5):
    """The reading of a run and of its pod, whose clock is so far ahead."""
    traced = PodTrace(pod.members, pod.reading().rows)
    clock = Offset(1_000 * ahead_us, 1_000 * error_us, 1)
    plane = SimpleNamespace(shape=SimpleNamespace(members=lambda: head.members), trace=lambda: Trace(head.arrays))
    return read_trace(plane, [TracedPod(POD, "far", traced, clock)])


@pytest.fixture
def apart():
    """A run and a pod 500 microseconds ahead: a record that the pod sends at 110 is taken at 130."""
    head, pod = Session(HEAD_MEMBERS), Session(POD_MEMBERS)
    pod.works("uplink", Stage.UPLINK_SEND, 600, 620, (610, Mark.RECORD_SENT, ACTOR, RECORD))
    place = POD << MARK_POD_SHIFT | ACTOR
    head.works("gateway", Stage.GATEWAY_TAKE, 125, 140, (130, Mark.RECORD_TAKEN, place, RECORD))
    return head, pod


def test_pods_have_their_own_rows_on_the_clock_of_the_run(apart):
    text = render_trace(both(*apart, ahead_us=500))
    events = check_trace(text)
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert [names[pid] for pid in sorted(names)][-3:] == [
        f"pod-{POD} on far: {member.identity}" for member in POD_MEMBERS
    ]
    (sent,) = [event for event in events if event["ph"] == "X" and event["name"] == "uplink send"]
    assert (sent["ts"], sent["dur"]) == (0.0, 20.0)
    assert json.loads(text)["otherData"]["pods"] == {
        f"pod-{POD} on far": {"offset_ns": 500_000, "error_ns": 5_000, "round_trip_ns": 1}
    }
    places = {event["pid"]: event["args"]["sort_index"] for event in events if event["name"] == "process_sort_index"}
    assert max(places[pid] for pid in range(1, 6)) < min(places[pid] for pid in range(6, 9))


def test_record_goes_from_the_pod_to_the_gateway(apart):
    far = f"pod-{POD} on far: uplink-0"
    whole = ("record", [(far, "uplink send"), ("gateway-0", "gateway take")])
    assert flows(check_trace(render_trace(both(*apart, ahead_us=500)))) == [whole]


def test_record_that_an_error_of_the_clock_turns_back_has_no_arrow(apart):
    assert flows(check_trace(render_trace(both(*apart, ahead_us=470)))) == []


def test_lanes_of_a_pod_are_not_those_of_the_run():
    """Both have a lane of this number and a request of this number."""
    head, pod = Session(), Session(POD_MEMBERS)
    head.simulation(100, sequence=7)
    pod.simulation(1_000, sequence=7)
    found = flows(check_trace(render_trace(both(head, pod, ahead_us=0))))
    assert [{name.partition(": ")[0] if ": " in name else "here" for name, _ in points} for _, points in found] == [
        {"here"},
        {f"pod-{POD} on far"},
    ]
    assert len(found) == 2


def test_batch_numbers_of_other_nodes_do_not_meet():
    """A pod has no learner; a mark that is not its own would not end a batch here."""
    head, pod = Session(), Session(POD_MEMBERS)
    head.works("replay", Stage.REPLAY_SAMPLE, 0, 20, (18, Mark.BATCH_SENT, RANK, 1))
    pod.works("actor", Stage.TREE, 25, 40, (26, Mark.BATCH_TAKEN, RANK, 1))
    pod.works("actor", NoStage.OTHER, 40, 50, (45, Mark.PRIORITIES_SENT, RANK, 1))
    head.works("replay", NoStage.OTHER, 50, 60, (55, Mark.PRIORITIES_TAKEN, RANK, 1))
    assert flows(check_trace(render_trace(both(head, pod, ahead_us=0)))) == []
