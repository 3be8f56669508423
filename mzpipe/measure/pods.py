"""The pods of a measured run: each is a node of its own, with a report of its own and a link to the run's machine."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..cluster.readings import PodTrace, Reading, taken_reading, taken_trace
from ..errors import MessageError
from ..format import latency, number, percent
from ..ipc.dataplane import DataPlane
from ..ipc.pods import Offset
from ..telemetry.report import ProfileReport, make_report

_US_PER_S, _NS_PER_US = 1e6, 1e3
# A verdict advises settings of the run's machine, so a pod has none.
_OF_THE_RUN = ("bottleneck", "verdict", "predicted_speedup")


@dataclasses.dataclass(frozen=True)
class LinkUse:
    """What crossed the link between a pod and the run's machine, and how late."""

    # From the pod to the run: transitions that the run has taken, and bytes of all kinds.
    transitions_per_s: float
    bytes_to_run_per_s: float
    bytes_to_pod_per_s: float
    # The part of the time in which records waited for room on the run's machine.
    credit_wait: float
    # From the news of a weights version to its publication in the pod, the mean; None if there was no version.
    weights_delay_s: float | None
    # The pod's clock less the run's, and the round trip of heartbeats; None before anything was known.
    clock: Offset | None

    def words(self) -> str:
        """The link in one line."""
        delay = "no weights came" if self.weights_delay_s is None else f"weights after {_time(self.weights_delay_s)}"
        clock = "" if self.clock is None else f"; round trip {latency(self.clock.round_trip_ns / _NS_PER_US)}"
        return (
            f"link: {number(self.transitions_per_s)} transitions/s, {number(self.bytes_to_run_per_s)} bytes/s to the "
            f"run, {number(self.bytes_to_pod_per_s)} bytes/s to the pod; waits for room {percent(self.credit_wait)}; "
            f"{delay}{clock}"
        )

    def clock_words(self) -> str:
        """How well the pod's clock is known."""
        if self.clock is None:
            return "clock: not known"
        error = latency(self.clock.error_ns / _NS_PER_US)
        return f"clock: {self.clock.offset_ns / 1e9:+,.6f} s from the run's, known within {error}"


class PodUse(NamedTuple):
    """One pod between two moments; its report's rates and parts are those of its own machine."""

    pod: int
    node: str
    report: ProfileReport
    link: LinkUse

    @property
    def name(self) -> str:
        """The pod and its machine, in words."""
        return _name(self.pod, self.node)

    def as_json(self) -> dict[str, Any]:
        """The fields for a file."""
        link = dataclasses.asdict(self.link)
        link["clock"] = None if self.link.clock is None else self.link.clock._asdict()
        report = {name: value for name, value in self.report.as_json().items() if name not in _OF_THE_RUN}
        return {"node": self.node, "link": link, **report}


class TracedPod(NamedTuple):
    """The trace of a pod's processes, and how its clock differs from the run's."""

    pod: int
    node: str
    trace: PodTrace
    clock: Offset

    @property
    def name(self) -> str:
        """The pod and its machine, in words."""
        return _name(self.pod, self.node)


class PodsWatch:
    """Reads what the pods of a run tell: once when a measurement begins, and once at its end."""

    def __init__(self) -> None:
        self._first: Mapping[int, tuple[int, Reading]] = {}
        self.uses: tuple[PodUse, ...] = ()

    def begin(self, plane: DataPlane) -> None:
        """Reads for the first time."""
        self._first = _readings(plane)

    def end(self, plane: DataPlane) -> None:
        """Reads for the last time; a pod that is new since, or has begun another life, has no report."""
        last = _readings(plane)
        both = [pod for pod in last if pod in self._first and self._first[pod][0] == last[pod][0]]
        pairs = ((pod, self._first[pod][1], last[pod][1]) for pod in both)
        self.uses = tuple(
            _use(plane, pod, first, last) for pod, first, last in pairs if last.moment.time_s > first.moment.time_s
        )


def linked_pods(plane: DataPlane) -> list[int]:
    """The pods that answer."""
    return [pod for pod in range(plane.shape.pods) if plane.pod_row(pod).is_linked]


def playing_pods(plane: DataPlane) -> list[int]:
    """The pods that answer and have played."""
    return [pod for pod in linked_pods(plane) if plane.pod_row(pod).life_steps]


class PodTraces:
    """Takes each pod's trace when it comes, with what is known of its clock by then."""

    def __init__(self) -> None:
        self._awaited: set[int] = set()
        self._found: dict[int, TracedPod] = {}

    def begin(self, plane: DataPlane) -> None:
        """Says that the window has begun, for the pods that answer."""
        self._awaited = set(linked_pods(plane))

    def look(self, plane: DataPlane) -> None:
        """Takes what has come; a trace that cannot be read is not waited for."""
        for pod in sorted(self._awaited):
            row = plane.pod_row(pod)
            try:
                trace, clock = taken_trace(plane.directory, pod, row.session), row.clock
            except MessageError:
                self._awaited.discard(pod)
                continue
            if trace is not None and clock is not None:
                self._awaited.discard(pod)
                self._found[pod] = TracedPod(pod, row.node, trace, clock)

    def are_complete(self, plane: DataPlane) -> bool:
        """Whether every trace has come that a pod may still send."""
        return not self._awaited & set(linked_pods(plane))

    @property
    def found(self) -> list[TracedPod]:
        """The traces that have come, by pod."""
        return [self._found[pod] for pod in sorted(self._found)]


def _readings(plane: DataPlane) -> dict[int, tuple[int, Reading]]:
    """Of each pod that answers: its life, and what it has told last."""
    found = {}
    for pod in linked_pods(plane):
        session = plane.pod_row(pod).session
        try:
            reading = taken_reading(plane.directory, pod, session)
        except MessageError:
            continue
        if reading is not None:
            found[pod] = (session, reading)
    return found


def _use(plane: DataPlane, pod: int, first: Reading, last: Reading) -> PodUse:
    row, seconds = plane.pod_row(pod), last.moment.time_s - first.moment.time_s
    change = {name: value - first.link[name] for name, value in last.link.items()}
    link = LinkUse(
        transitions_per_s=change["pod_transitions"] / seconds,
        bytes_to_run_per_s=change["link_bytes_out"] / seconds,
        bytes_to_pod_per_s=change["link_bytes_in"] / seconds,
        credit_wait=change["credit_wait"] / seconds,
        weights_delay_s=change["weights_delay"] / change["weights_taken"] if change["weights_taken"] else None,
        clock=row.clock,
    )
    return PodUse(pod, row.node, make_report(first.moment, last.moment, last.cores), link)


def _name(pod: int, node: str) -> str:
    return f"pod-{pod} on {node}"


def _time(seconds: float) -> str:
    return latency(seconds * _US_PER_S)
