"""One pod, as the gateway sees it: a ring of trajectories, position and target rings, and a link that may break.

Credit: the pod may send `limit` records since its join, which is what has arrived plus the free slots of its ring. Only
the pod's records fill the ring, so every record that is on its way has a slot.
"""

import time
from collections.abc import Callable

import numpy as np

from ..errors import MessageError
from ..ipc.columns import named
from ..ipc.dataplane import DataPlane
from ..ipc.pods import COUNTS
from ..ipc.ring import RingReader, RingWriter
from ..ipc.roles import Role
from ..ipc.schema import FreshTargets, Positions, Trajectory
from ..ipc.shape import Member
from ..ipc.trace import MARK_POD_SHIFT, Mark
from ..ipc.weights import NO_VERSION
from . import protocol
from .link_clock import LinkClock
from .packing import Packer
from .protocol import FromRun
from .readings import ReadingTaker
from .transfer import Snapshot, WeightsSource

# A record's epoch in the run: the pod's life in the upper bits, and below them the epoch of its actor in that life.
_EPOCH_BITS = 16
# Sums over pods of what they tell still fit into a word.
_MAX_COUNT = 1 << 53
# News of taken records and of room go out at once when there is so much of them, and else this late.
_NEWS_PART, _NEWS_S = 4, 0.02

Send = Callable[[FromRun, bytes | memoryview | None], bool]


class Gap(Exception):
    """Messages were lost with a connection: the pod must join again."""


class Packers:
    """The packers of everything that crosses a link."""

    def __init__(self, plane: DataPlane) -> None:
        sizes = plane.shape.sizes()
        self.trajectory = Packer(Trajectory, sizes, "length")
        self.positions = Packer(Positions, sizes, "num_trees")
        self.targets = Packer(FreshTargets, sizes, "num_trees")
        self.largest = max(self.trajectory.largest, self.positions.largest, self.targets.largest, protocol.CHUNK_BYTES)


class Searcher:
    """One reanalyzer of a pod: its position ring and target ring in the run."""

    def __init__(self, plane: DataPlane, ring: int, packers: Packers) -> None:
        self._positions, self._targets = RingReader(plane.position_ring(ring)), RingWriter(plane.target_ring(ring))
        self._packers, self._trees = packers, plane.shape.trees_per_reanalyzer_lane
        self._out = 0  # positions sent and not answered

    def next_positions(self) -> bytes | None:
        """The next positions to send; every answer to what is out has its place in the target ring."""
        if self._out >= self._targets.free():
            return None
        slot = self._positions.peek(ahead=self._out)
        return None if slot is None else self._packers.positions.pack(slot, self._trees)

    def sent(self) -> None:
        """Says that they were sent."""
        self._out += 1

    def resend(self) -> None:
        """Sends again what is not answered."""
        self._out = 0

    def answer(self, payload: memoryview) -> bool:
        """Takes the targets of the oldest positions; False for an answer that nobody waits for any more.

        Raises MessageError.
        """
        slot, asked = self._targets.claim(), self._positions.peek()
        if slot is None or asked is None or self._out == 0:
            return False
        self._packers.targets.unpack(payload, self._trees, slot)
        if slot.ticket[0] != asked.ticket[0]:
            return False
        if not all(np.isfinite(array).all() for array in named(slot).values() if array.dtype.kind == "f"):
            raise MessageError("targets hold NaN or infinity")
        self._pass_on()
        self._out -= 1
        return True

    def give_back(self) -> int:
        """Returns the oldest positions unanswered, for a pod that is gone; returns how many."""
        slot, asked = self._targets.claim(), self._positions.peek()
        if slot is None or asked is None:
            return 0
        slot.ticket[0], slot.search_version[0] = asked.ticket[0], NO_VERSION
        self._pass_on()
        self._out = 0
        return 1

    def _pass_on(self) -> None:
        self._targets.commit()
        self._positions.release()


class PodLink:
    """The run's end of the link to one pod."""

    def __init__(self, plane: DataPlane, pod: int, packers: Packers, source: WeightsSource) -> None:
        shape = plane.shape
        self.pod, self.row = pod, plane.pod_row(pod)
        self._packers, self._source, self._games = packers, source, shape.games_per_actor
        self._is_measured = shape.is_measured
        self._writer = RingWriter(plane.trajectory_ring(shape.actors + pod))
        self._slot_count = plane.trajectory_ring(shape.actors + pod).num_slots
        first = shape.reanalyzers + pod * shape.pod_reanalyzers
        self._searchers = [Searcher(plane, first + index, packers) for index in range(shape.pod_reanalyzers)]
        self.is_joined = self.has_left = False
        self._snapshot: Snapshot | None = None
        self._wants: list[int] = []
        self._sent = self._received = self._records = self._limit = self._version = 0
        self._news, self._credit_due_s = False, 0.0
        self._clock, self._readings = LinkClock(), ReadingTaker(plane.directory, pod)
        self._writer_trace = plane.trace_writer(Member(Role.GATEWAY, 0))
        self._trace = plane.trace() if shape.trace_events else None
        self._is_traced = False  # the pod knows that the run traces

    # What a pod says.

    def join(self, message: protocol.Join) -> tuple[protocol.Joined, int]:
        """Begins a link; returns the answer, and the transitions that died with a former life."""
        lost = 0
        if self.row.session != message.session:
            lost, self._clock = self.row.begin(message.session), LinkClock()  # perhaps on another machine
        self._readings.begin(message.session)
        self.row.node = message.node
        for searcher in self._searchers:
            searcher.resend()
        self._snapshot, self._wants = None, []
        self._sent = self._received = self._records = 0
        self._limit = self._writer.free()
        self.is_joined, self.has_left = True, False
        return protocol.Joined(message.attempt, self._limit), lost

    def taken(self) -> bytes:
        """Of each actor, the number of the next record wanted."""
        return self.row.taken_A.tobytes()

    def take(self, message: protocol.FromPod, payload: memoryview | None) -> int:
        """Takes in one message of a joined pod; returns the transitions that were committed.

        Raises MessageError for what no pod says, Gap if messages before it are missing.
        """
        if isinstance(message, protocol.Counts):
            self._take_counts(message)
            return 0
        self._received += 1
        match message:
            case protocol.Record() if payload is not None:
                return self._take_record(message, payload)
            case protocol.Targets() if payload is not None and 0 <= message.reanalyzer < len(self._searchers):
                self._searchers[message.reanalyzer].answer(payload)
            case protocol.Want():
                self._want(message.chunk)
            case protocol.Part() if payload is not None and self._is_measured:
                self._readings.take(message, payload)
            case protocol.Leave():
                self.has_left, self.is_joined = True, False
            case _:
                raise MessageError(f"{type(message).__name__}: not a message that may stand here")
        return 0

    def _take_counts(self, message: protocol.Counts) -> None:
        if message.sent != self._received:
            raise Gap
        counts = tuple(_bounded(getattr(message, name)) for name in COUNTS)
        self.row.tell(counts, _bounded(message.weights_version))
        offset = self._clock.hear(time.monotonic_ns(), message.echo_ns, message.held_ns, message.clock_ns)
        if offset is not None:
            self.row.clock = offset

    def _take_record(self, message: protocol.Record, payload: memoryview) -> int:
        actor = message.actor
        if not (0 <= actor < len(self.row.taken_A) and 0 <= message.epoch < 1 << _EPOCH_BITS):
            raise MessageError(f"Record: actor {actor}, epoch {message.epoch}")
        self._records += 1
        slot = self._writer.claim()
        if self._records > self._limit or slot is None:
            raise MessageError(f"Record {self._records} since the join, the limit is {self._limit}")
        wanted = int(self.row.taken_A[actor])
        if message.sequence != wanted:
            raise Gap
        self._packers.trajectory.unpack(payload, message.rows, slot)
        if slot.length[0] != message.rows or not 0 <= slot.game[0] < self._games:
            raise MessageError(f"Record: length {slot.length[0]} in {message.rows} rows, game {slot.game[0]}")
        slot.game[0] += actor * self._games
        if self._writer_trace is not None:
            self._writer_trace.mark(Mark.RECORD_TAKEN, self.pod << MARK_POD_SHIFT | actor, wanted)
        # Before the commit: a successor takes no record twice (V2 of ipc/pods.py).
        self.row.take(actor)
        self._writer.commit((self.row.sessions << _EPOCH_BITS) | message.epoch)
        self.row.received(message.rows)
        self._news = True
        return message.rows

    def _want(self, chunk: int) -> None:
        if chunk == 0:
            self._snapshot = self._source.newest()
        if self._snapshot is None or not 0 <= chunk < self._snapshot.num_chunks or len(self._wants) >= protocol.WINDOW:
            raise MessageError(f"Want: chunk {chunk}")
        self._wants.append(chunk)

    # What a pod is told.

    def send_due(self, now_s: float, learner_steps: int, send: Send) -> int:
        """Sends what a joined pod is to be told now; returns how many messages."""
        sent = self._send_credit(now_s, learner_steps, send)
        while self._wants and self._snapshot is not None and self._send(send, *self._snapshot.chunk(self._wants[0])):
            if self._wants.pop(0) == self._snapshot.num_chunks - 1:
                self._snapshot = None
            sent += 1
        for index, searcher in enumerate(self._searchers):
            packed = searcher.next_positions()
            if packed is not None and self._send(send, protocol.Positions(index), packed):
                searcher.sent()
                sent += 1
        return sent

    def give_back(self) -> int:
        """Returns unanswered positions of a pod that does not answer; returns how many."""
        return sum(searcher.give_back() for searcher in self._searchers)

    def _send(self, send: Send, message: FromRun, payload: bytes | memoryview) -> bool:
        if not send(message, payload):
            return False
        self._sent += 1
        return True

    def _send_credit(self, now_s: float, learner_steps: int, send: Send) -> int:
        trace_ns = max(0, self._trace.remaining_ns()) if self._trace is not None else 0
        limit, version = self._records + self._writer.free(), self._source.latest()
        is_due = now_s >= self._credit_due_s
        is_much = limit - self._limit >= max(1, self._slot_count // _NEWS_PART)
        has_news = self._news or limit > self._limit or version != self._version
        is_window = (trace_ns > 0) != self._is_traced
        is_late = has_news and now_s >= self._credit_due_s - protocol.BEAT_S + _NEWS_S
        if not (is_due or is_much or is_late or is_window):
            return 0
        credit = protocol.Credit(self._sent, limit, learner_steps, version, time.monotonic_ns(), trace_ns)
        if not send(credit, self.taken()):
            return 0
        self._limit, self._version, self._news, self._is_traced = limit, version, False, trace_ns > 0
        self._credit_due_s = now_s + protocol.BEAT_S
        return 1


def _bounded(count: int) -> int:
    return max(-_MAX_COUNT, min(count, _MAX_COUNT))
