"""Renders a trace for viewers: one row per process, arrows from process to process (Chrome's JSON, for Perfetto).

    simulation   actor asks -> gather -> device -> reply -> actor takes the answer
    batch        replay writes it -> forward -> backward -> priorities sent -> replay takes them
    record       a pod's uplink sends it -> gateway takes it

The slices of a row do not overlap. A flow is drawn only if both its ends were recorded; each of its points is inside a
slice, and no point is earlier than the one before it.

Pods' times are moved to the clock of the run's machine; the file says within what error. An arrow from a pod that the
error would turn back is left out.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.trace import MARK_POD_SHIFT, Mark, NoStage, TraceRow
from .pods import TracedPod

_NS_PER_US, _NS_PER_S = 1e3, 1e9
# The node of the run's machine; pods are numbered from 0 on.
_HERE = -1
_MOST_PROCESSES = 1 << 16
_NO_STAGE_NAMES = {NoStage.WAIT_IN: "wait in", NoStage.WAIT_OUT: "wait out", NoStage.OTHER: "other"}
# Roles from top to bottom, in the direction that games, searches and batches flow.
_FIRST_PID = 1  # viewers reserve process 0 for the machine
_ROLES = (
    Role.ACTOR,
    Role.INFERENCE,
    Role.GATEWAY,
    Role.UPLINK,
    Role.REPLAY,
    Role.REANALYZER,
    Role.LEARNER,
    Role.EVALUATOR,
)


class TraceReading(NamedTuple):
    """The recorded events of all processes, in members' order: the run's machine first, then pod after pod."""

    members: tuple[Member, ...]
    rows: tuple[TraceRow, ...]
    # By the clock of the run's machine.
    pods: tuple[TracedPod, ...] = ()

    @property
    def nodes(self) -> tuple[int, ...]:
        """Of each process the number of its pod; _HERE on the run's machine."""
        theirs = [pod.pod for pod in self.pods for _ in pod.trace.members]
        return (*(_HERE for _ in range(len(self.members) - len(theirs))), *theirs)

    @property
    def num_events(self) -> int:
        """The number of events of all processes."""
        return sum(len(row.event_EW) for row in self.rows)

    @property
    def lost(self) -> int:
        """The number of events that were lost for lack of room."""
        return sum(row.lost for row in self.rows)

    @property
    def zero_ns(self) -> int:
        """The time at which the first event began."""
        return min((int(row.event_EW[:, 0].min()) for row in self.rows if len(row.event_EW)), default=0)

    @property
    def seconds(self) -> float:
        """The time from the first event's begin to the last one's end."""
        ends = (int(row.event_EW[row.event_EW[:, 2] < min(Mark), 1].max(initial=0)) for row in self.rows)
        return max(0.0, (max(ends, default=0) - self.zero_ns) / _NS_PER_S)


def read_trace(plane: DataPlane, pods: Sequence[TracedPod] = ()) -> TraceReading:
    """The trace recorded so far by a run that has one, and those of its pods."""
    own = tuple(plane.shape.members()), tuple(plane.trace().read())
    members, rows = zip(own, *(_moved(pod) for pod in pods), strict=True)
    return TraceReading(sum(members, ()), sum(rows, ()), tuple(pods))


def _moved(pod: TracedPod) -> tuple[tuple[Member, ...], tuple[TraceRow, ...]]:
    """A pod's processes and events, by the clock of the run's machine."""
    rows = []
    for row in pod.trace.rows:
        event_EW = row.event_EW.copy()
        event_EW[:, 0] -= pod.clock.offset_ns
        event_EW[event_EW[:, 2] < min(Mark), 1] -= pod.clock.offset_ns  # of a mark, the second word is no time
        rows.append(row._replace(event_EW=event_EW))
    return pod.trace.members, tuple(rows)


class _Slice(NamedTuple):
    begin_ns: int
    end_ns: int
    kind: int
    items: int


class _Point(NamedTuple):
    """An end or an intermediate point of an arrow."""

    row: int
    at_ns: int


class _Row:
    """One process of a node: its slices in order, its marks in order."""

    def __init__(self, event_EW: np.ndarray, node: int) -> None:
        self.node, events = node, event_EW.tolist()
        self.slices = [_Slice(*event) for event in events if event[2] < min(Mark)]
        # (mark, place, time, sequence)
        self.marks = [(kind, place, at_ns, sequence) for at_ns, place, kind, sequence in events if kind >= min(Mark)]
        self._begins_ns = [each.begin_ns for each in self.slices]

    def index_at(self, at_ns: int) -> int | None:
        """The index of the slice that contains this time; None if there is none."""
        index = bisect_right(self._begins_ns, at_ns) - 1
        return index if index >= 0 and at_ns <= self.slices[index].end_ns else None

    def following(self, at_ns: int, stages: tuple[Stage, ...]) -> list[int]:
        """Times just after these stages begin, if they are the next slices after the one that contains `at_ns`."""
        index = self.index_at(at_ns)
        moments: list[int] = []
        if index is not None:
            for each, stage in zip(self.slices[index + 1 :][: len(stages)], stages, strict=False):
                if each.kind != stage:
                    break
                moments.append(min(each.begin_ns + 1, each.end_ns))
        return moments


def render_trace(reading: TraceReading) -> str:
    """The text of the trace file."""
    rows = [_Row(row.event_EW, node) for row, node in zip(reading.rows, reading.nodes, strict=True)]
    zero_ns = reading.zero_ns
    events = [*_slices(rows, zero_ns), *_flows(rows, zero_ns)]
    # Arrows come after slices that begin at the same time; otherwise a viewer attaches them to the slices before.
    events.sort(key=lambda event: (event["ts"], event["ph"] != "X"))
    whole = {
        "traceEvents": [*_names(reading), *events],
        "displayTimeUnit": "ns",
        "otherData": {
            "clock": "CLOCK_MONOTONIC",
            "zero_ns": zero_ns,
            "lost": reading.lost,
            "pods": {pod.name: pod.clock._asdict() for pod in reading.pods},
        },
    }
    return json.dumps(whole, separators=(",", ":"))


def _names(reading: TraceReading) -> Iterator[dict[str, Any]]:
    names = {pod.pod: pod.name for pod in reading.pods}
    for pid, (member, node) in enumerate(zip(reading.members, reading.nodes, strict=True), _FIRST_PID):
        order = (node - _HERE) * _MOST_PROCESSES + _ROLES.index(member.role) * len(reading.members) + member.index
        identity = member.identity if node == _HERE else f"{names[node]}: {member.identity}"
        for name, value in (
            ("process_name", {"name": identity}),
            ("process_sort_index", {"sort_index": order}),
            ("thread_name", {"name": identity}),
        ):
            yield {"ph": "M", "name": name, "pid": pid, "tid": pid, "args": value}


def _slices(rows: list[_Row], zero_ns: int) -> Iterator[dict[str, Any]]:
    for pid, each in ((pid, each) for pid, row in enumerate(rows, _FIRST_PID) for each in row.slices):
        event = {
            "ph": "X",
            "ts": (each.begin_ns - zero_ns) / _NS_PER_US,
            "dur": (each.end_ns - each.begin_ns) / _NS_PER_US,
            "pid": pid,
            "tid": pid,
        }
        if each.kind in _NO_STAGE_NAMES:
            yield event | {"name": _NO_STAGE_NAMES[NoStage(each.kind)], "cat": "wait", "cname": "grey"}
        else:
            stage = Stage(each.kind)
            yield event | {"name": stage.label, "cat": stage.role, "args": {stage.unit: each.items}}


def _flows(rows: list[_Row], zero_ns: int) -> Iterator[dict[str, Any]]:
    number = 0
    for name, points in [*_simulations(rows), *_batches(rows), *_records(rows)]:
        at_ns = [point.at_ns for point in points]
        if at_ns != sorted(at_ns) or any(rows[row].index_at(at_ns) is None for row, at_ns in points):
            continue  # the trace ended here, or a process died
        number += 1
        for place, point in enumerate(points):
            phase = "s" if place == 0 else "f" if place == len(points) - 1 else "t"
            pid, ts = _FIRST_PID + point.row, (point.at_ns - zero_ns) / _NS_PER_US
            event = {"ph": phase, "name": name, "cat": "flow", "id": number, "ts": ts, "pid": pid, "tid": pid}
            yield event | {"bp": "e"} if phase == "f" else event


def _simulations(rows: list[_Row]) -> Iterator[tuple[str, list[_Point]]]:
    gathered, taken = _passages(rows, Mark.REQUEST_GATHERED), _passages(rows, Mark.ANSWER_TAKEN)
    for mark, name in ((Mark.ROOT_ASKED, "root"), (Mark.SIMULATION_ASKED, "simulation")):
        for key, asked in _passages(rows, mark).items():
            if key not in gathered or key not in taken:
                continue
            server = gathered[key]
            steps = rows[server.row].following(server.at_ns, (Stage.INFERENCE_DEVICE, Stage.INFERENCE_REPLY))
            yield name, [asked, server, *(_Point(server.row, at_ns) for at_ns in steps), taken[key]]


def _records(rows: list[_Row]) -> Iterator[tuple[str, list[_Point]]]:
    taken = _passages(rows, Mark.RECORD_TAKEN)
    for (node, actor, sequence), sent in _passages(rows, Mark.RECORD_SENT).items():
        arrived = taken.get((_HERE, node << MARK_POD_SHIFT | actor, sequence))
        if arrived is not None:
            yield "record", [sent, arrived]


def _batches(rows: list[_Row]) -> Iterator[tuple[str, list[_Point]]]:
    sent, back = _passages(rows, Mark.BATCH_SENT), _passages(rows, Mark.PRIORITIES_TAKEN)
    for index, row in enumerate(rows):
        taken: tuple[tuple[int, int, int], _Point] | None = None
        for mark, place, at_ns, sequence in row.marks:
            if mark == Mark.BATCH_TAKEN:
                taken = ((row.node, place, sequence), _Point(index, at_ns))
            if mark != Mark.PRIORITIES_SENT or taken is None:
                continue
            key, trained = taken
            answer = back.get((row.node, place, sequence))
            if key in sent and answer is not None:
                steps = row.following(trained.at_ns, (Stage.BACKWARD,))
                points = [trained, *(_Point(index, step_ns) for step_ns in steps), _Point(index, at_ns)]
                yield "batch", [sent[key], *points, answer]


def _passages(rows: list[_Row], wanted: Mark) -> dict[tuple[int, int, int], _Point]:
    """The last point at which each (node, place, sequence) got this mark."""
    return {
        (row.node, place, sequence): _Point(index, at_ns)
        for index, row in enumerate(rows)
        for mark, place, at_ns, sequence in row.marks
        if mark == wanted
    }
