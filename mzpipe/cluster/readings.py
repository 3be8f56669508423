"""What a pod's processes did, for a measurement on the run's machine (`mzpipe profile`).

    pod: stages, processor times, counters of the uplink; with every heartbeat     --parts--> run: a file of the newest
    pod: the trace's events, once its window is over                               --parts--> run: a file

The times in them are the pod's own; link_clock.py says how they differ from the run's. A part follows each Credit, so
that no more than one is in the way of records. Their bytes are no part of what the link is said to carry.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import zstandard

from ..errors import MessageError
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import StageReading
from ..ipc.trace import EVENT_WORDS, Trace, TraceRow
from ..telemetry.rates import DeviceTime, Moment, ProcessorTime, read_moment
from . import protocol
from .packing import ZSTD_LEVEL

STAGES, TRACE = "stages", "trace"
# Of one pod; a trace of the most events that a measurement keeps has 6.4 MB.
MAX_BYTES = 64 << 20
_MAX_PARTS = MAX_BYTES // protocol.CHUNK_BYTES
# Counters of a pod's uplink that tell how its link does.
LINK_COUNTS = ("link_bytes_out", "link_bytes_in", "pod_transitions", "credit_wait", "weights_taken", "weights_delay")
_NS_PER_S = 1e9


class Reading(NamedTuple):
    """A pod at one moment, by its own clock; `link` has LINK_COUNTS, in their units."""

    moment: Moment
    cores: int
    link: dict[str, float]


class PodTrace(NamedTuple):
    """The trace of a pod's processes, by its own clock."""

    members: tuple[Member, ...]
    rows: tuple[TraceRow, ...]


def read_pod(plane: DataPlane) -> Reading:
    """This pod at this moment."""
    uplink = plane.counters(Member(Role.UPLINK, 0))
    return Reading(read_moment(plane), len(os.sched_getaffinity(0)), {name: uplink.value(name) for name in LINK_COUNTS})


def pack_reading(reading: Reading) -> bytes:
    """A reading as bytes."""
    moment = reading.moment
    cpu = [[row, *moment.cpu[member]] for row, member in enumerate(moment.members) if member in moment.cpu]
    devices = [[row, *moment.devices[member]] for row, member in enumerate(moment.members) if member in moment.devices]
    return _packed(
        {
            "time_s": moment.time_s,
            "members": _named(moment.members),
            "stages": moment.stages.words().tobytes(),
            "cpu": cpu,
            "devices": devices,
            "cores": reading.cores,
            "link": reading.link,
        }
    )


def unpack_reading(data: bytes) -> Reading:
    """The reading in `data`; raises MessageError for what `pack_reading` does not write."""
    with _refusing(STAGES):
        fields = _unpacked(data)
        members = _members(fields["members"])
        words_PW = np.frombuffer(fields["stages"], np.int64).reshape(len(members), -1)
        cpu = {members[row]: ProcessorTime(int(pid), float(seconds)) for row, pid, seconds in fields["cpu"]}
        devices = {members[row]: DeviceTime(float(first), float(last)) for row, first, last in fields["devices"]}
        moment = Moment(float(fields["time_s"]), members, StageReading(words_PW), cpu, devices)
        return Reading(moment, int(fields["cores"]), {name: float(fields["link"][name]) for name in LINK_COUNTS})


def pack_trace(trace: PodTrace) -> bytes:
    """A trace as bytes."""
    rows = [[row.event_EW.tobytes(), row.lost] for row in trace.rows]
    return _packed({"members": _named(trace.members), "rows": rows})


def unpack_trace(data: bytes) -> PodTrace:
    """The trace in `data`; raises MessageError for what `pack_trace` does not write."""
    with _refusing(TRACE):
        fields = _unpacked(data)
        members = _members(fields["members"])
        rows = [
            TraceRow(np.frombuffer(events, np.int64).reshape(-1, EVENT_WORDS), int(lost))
            for events, lost in fields["rows"]
        ]
        if len(rows) != len(members):
            raise ValueError(f"{len(rows)} rows of {len(members)} processes")
        return PodTrace(members, tuple(rows))


class ReadingSender:
    """The pod's end: sends what is due in parts, one after each word of the run."""

    def __init__(self, plane: DataPlane, send: Callable[[protocol.Part, bytes], bool]) -> None:
        self._plane, self._send = plane, send
        self._parts: deque[tuple[protocol.Part, bytes]] = deque()
        self._trace = plane.trace() if plane.shape.trace_events else None
        self._is_traced = self._may_send = False  # the trace has been sent; a Credit has come since the last part

    def begin(self) -> None:
        """Begins a link: what may be lost is sent again."""
        self._is_traced = False
        self._parts.clear()

    def heartbeat(self) -> None:
        """Says that a heartbeat has gone out."""
        if self._plane.shape.is_measured and not self._parts:
            self._queue(STAGES, pack_reading(read_pod(self._plane)))

    def credit(self, trace_ns: int) -> None:
        """Takes in for how long the run traces from now on: this pod's window begins, and ends, with the run's."""
        self._may_send = True
        if self._trace is None:
            return
        if trace_ns == 0:
            self._trace.stop()
        elif not self._trace.has_begun:
            self._trace.start(trace_ns / _NS_PER_S)

    def do_work(self) -> int:
        """Sends the next part if it may; returns how many were sent."""
        if self._trace is not None and self._trace.has_begun and not self._is_traced:
            self._look_at_trace(self._trace)
        if not (self._parts and self._may_send and self._send(*self._parts[0])):
            return 0
        self._parts.popleft()
        self._may_send = False
        return 1

    def _look_at_trace(self, trace: Trace) -> None:
        trace.stop_when_full()
        if not self._parts and trace.remaining_ns() <= 0:
            self._is_traced = True
            self._queue(TRACE, pack_trace(PodTrace(tuple(self._plane.shape.members()), tuple(trace.read()))))

    def _queue(self, what: str, data: bytes) -> None:
        chunks = [data[at : at + protocol.CHUNK_BYTES] for at in range(0, len(data), protocol.CHUNK_BYTES)]
        self._parts.extend((protocol.Part(what, number, len(chunks)), chunk) for number, chunk in enumerate(chunks))


class ReadingTaker:
    """The run's end: puts parts together, and keeps the newest of each kind in a file of the runtime directory."""

    def __init__(self, directory: Path, pod: int) -> None:
        self._directory, self._pod, self._session = directory, pod, 0
        self._chunks: list[bytes] = []

    def begin(self, session: int) -> None:
        """Begins a link of this life of the pod: parts from before it do not count, and files of other lives go."""
        self._session, self._chunks = session, []
        for what in (STAGES, TRACE):
            kept = _path(self._directory, self._pod, session, what)
            for path in self._directory.glob(f"pod-{self._pod}.*.{what}"):
                if path != kept:
                    path.unlink(missing_ok=True)

    def take(self, part: protocol.Part, payload: memoryview) -> None:
        """Takes in the next part; raises MessageError."""
        self._chunks = [] if part.part == 0 else self._chunks
        if (
            part.what not in (STAGES, TRACE)
            or not 0 < part.parts <= _MAX_PARTS
            or part.part != len(self._chunks)
            or len(payload) > protocol.CHUNK_BYTES
        ):
            raise MessageError(f"Part {part.part} of {part.parts}, {len(payload)} bytes")
        self._chunks.append(bytes(payload))
        if len(self._chunks) == part.parts:
            path, data = _path(self._directory, self._pod, self._session, part.what), b"".join(self._chunks)
            self._chunks = []
            with contextlib.suppress(OSError):  # /dev/shm is full: a measurement is no reason to end a run
                draft = path.with_suffix(".new")
                draft.write_bytes(data)
                draft.replace(path)


def taken_reading(directory: Path, pod: int, session: int) -> Reading | None:
    """The newest reading of a pod in this life; None if there is none. Raises MessageError."""
    data = _taken(_path(directory, pod, session, STAGES))
    return None if data is None else unpack_reading(data)


def taken_trace(directory: Path, pod: int, session: int) -> PodTrace | None:
    """The trace of a pod in this life; None if it has not come. Raises MessageError."""
    data = _taken(_path(directory, pod, session, TRACE))
    return None if data is None else unpack_trace(data)


def _taken(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _path(directory: Path, pod: int, session: int, what: str) -> Path:
    return directory / f"pod-{pod}.{session:x}.{what}"


def _named(members: tuple[Member, ...]) -> list[list[Any]]:
    return [[str(member.role), member.index] for member in members]


def _members(named: list[list[Any]]) -> tuple[Member, ...]:
    return tuple(Member(Role(role), int(index)) for role, index in named)


def _packed(fields: dict[str, Any]) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(msgpack.packb(fields))


def _unpacked(data: bytes) -> dict[str, Any]:
    size = zstandard.frame_content_size(data)
    if not 0 <= size <= MAX_BYTES:
        raise ValueError(f"{size} bytes, at most {MAX_BYTES}")
    fields: dict[str, Any] = msgpack.unpackb(zstandard.ZstdDecompressor().decompress(data))
    return fields


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Any error in the block, which unpacks bytes of a pod, is a MessageError."""
    try:
        yield
    except Exception as error:
        raise MessageError(f"{what} of a pod: {error}"[:200]) from error
