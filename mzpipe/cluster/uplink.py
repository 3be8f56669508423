"""The uplink: the pod's end of its link. To the pod's processes it is the replay server, and the learner.

Reads   trajectory_ring[i], target_ring[j]
Writes  the pod's weights, position_ring[j], the learner's step counter as the pod sees it
Owns    the connection to the run

A record stays in its actor's ring until the run has taken it, so neither a lost connection nor the end of this process
loses or doubles one. The run says how many may be on their way; beyond that the ring fills and its actor waits.
"""

import json
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..config.cluster import split_address
from ..errors import InputOutputError, MessageError, UsageError
from ..ipc.counters import WaitClock
from ..ipc.dataplane import DataPlane
from ..ipc.messages import RunEnded
from ..ipc.pods import COUNTS
from ..ipc.ring import RingReader, RingWriter
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.trace import Mark
from ..ipc.weights import WeightsPublisher
from ..runs.directory import run_id_of
from ..runtime.agent import Agent, Turns
from ..runtime.attended import AttendedClock
from ..runtime.context import RoleContext
from . import protocol
from .identity import LINK_FILE, code_identity, layout_digest
from .keys import read_key
from .pod_link import Packers
from .protocol import POD_CODEC, RUN_CODEC, FromPod, FromRun
from .readings import ReadingSender
from .sockets import PodSocket
from .transfer import Assembly

_MESSAGES_PER_LAP = 64
# Of the time between two laps, no more than this counts as the run's silence: the whole machine may have been stopped.
_LONGEST_LAP_S = 1.0
_JOIN_AGAIN_S = 2.0
# In a stop the run is given so long to take what is left.
_DRAIN_S = 2.0


def write_link(runtime: Path, *, address: str, key: Path, run_id: str, profile: str) -> None:
    """Writes, into a pod's runtime directory, what its uplink must know; `profile` is the digest of the run's."""
    fields = {"address": address, "key": str(key.absolute()), "run_id": run_id, "profile": profile}
    (runtime / LINK_FILE).write_text(json.dumps(fields))


class Uplink(Agent):
    """Agent of role `uplink`."""

    role = Role.UPLINK

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        shape = self._plane.shape
        self._actors = [Member(Role.ACTOR, index) for index in range(shape.actors)]
        self._rows = [self._plane.counters(member) for member in self._actors]
        self._actor_bells = [self._plane.doorbell(member) for member in self._actors]
        self._server_bells = [self._plane.doorbell(Member(Role.INFERENCE, i)) for i in range(shape.inference_servers)]
        self._clock_s = AttendedClock(_LONGEST_LAP_S)
        self._socket: PodSocket | None = None

    def on_start(self) -> None:
        """Attaches to the rings and connects."""
        plane, shape = self._plane, self._plane.shape
        link = json.loads((plane.directory / LINK_FILE).read_text())
        self._address, key = link["address"], read_key(Path(link["key"]))
        session = int(run_id_of(plane.directory), 16)
        self._identity = (code_identity(), link["run_id"], session, layout_digest(shape), link["profile"])
        self._packers = Packers(plane)
        self._readers = [RingReader(plane.trajectory_ring(actor)) for actor in range(shape.actors)]
        self._turns = Turns(shape.actors)
        self._searchers = [_Searcher(plane, index, self._packers, self._send) for index in range(shape.reanalyzers)]
        self._readings = ReadingSender(plane, self._send)
        self._publisher = WeightsPublisher(plane.weights())
        self._assembly = Assembly(self._publisher, shape.weights_bytes)
        self._waits = WaitClock(self._counters)
        self._newest, self._news_s = 0, 0.0
        self._attempt, self._is_joined, self._has_ended = 0, False, False
        self._sent = self._received = self._records = self._limit = 0
        self._next = [0] * shape.actors
        self._heard_s = self._clock_s.now_s()
        self._echo_ns = self._echo_at_ns = 0
        self._join_due_s = self._beat_due_s = 0.0
        self._drained_by_s: float | None = None
        self._socket = PodSocket(key, *split_address(self._address), largest=self._packers.largest)
        self._socket.ring(plane.doorbell(self._member))
        self._socket.connect()

    def do_work(self) -> int:
        """Takes in what the run has sent, and sends records, targets and wishes as far as it takes them."""
        assert self._socket is not None
        # A send may have taken in what would have rung.
        return self._lap() or int(self._socket.has_arrivals())

    def _lap(self) -> int:
        self._waits.lap()
        taken = self._receive()
        if taken:
            self._clock.end(Stage.UPLINK_TAKE, taken)
        now_s = self._clock_s.now_s()
        if now_s - self._heard_s > protocol.SILENCE_S:
            raise InputOutputError(
                f"{self._address}: no word from the run for {protocol.SILENCE_S:.0f} s: it is gone, or the link is cut"
            )
        if not self._is_joined:
            return taken + self._join(now_s)
        if now_s >= self._beat_due_s and self._send_counts():
            self._beat_due_s = now_s + protocol.BEAT_S
            self._readings.heartbeat()
        work_count = self._send_records() + self._ask_for_weights(now_s) + self._readings.do_work()
        return taken + work_count + sum(searcher.do_work() for searcher in self._searchers)

    def drain(self) -> bool:
        """Hands over what lies in the rings; returns False until the run has taken it all, or takes too long."""
        self.do_work()
        now_s = self._clock_s.now_s()
        self._drained_by_s = self._drained_by_s or now_s + _DRAIN_S
        return now_s > self._drained_by_s or all(reader.peek() is None for reader in self._readers)

    def on_close(self) -> None:
        """Says that the pod ends, and closes the connection."""
        if self._socket is None:
            return
        if self._is_joined:
            self._send_counts()
            self._send(protocol.Leave("the run has ended" if self._has_ended else "the pod was stopped"))
        self._socket.close()

    # The link.

    def _join(self, now_s: float) -> int:
        if now_s < self._join_due_s:
            return 0
        self._join_due_s = now_s + _JOIN_AGAIN_S
        self._attempt += 1
        self._transmit(protocol.Join(self._attempt, *self._identity, socket.gethostname()))
        return 1

    def _begin(self, message: protocol.Joined, taken_A: np.ndarray) -> None:
        """Begins a link: what was taken leaves the rings, and what follows is sent, perhaps again."""
        for actor, taken in enumerate(taken_A.tolist()):
            if taken < self._readers[actor].sequence:
                raise MessageError(
                    f"record {taken} of actor-{actor} is wanted, the oldest is {self._readers[actor].sequence}"
                )
        self._release(taken_A)
        self._next = taken_A.tolist()
        self._limit, self._sent, self._received, self._records = message.limit, 0, 0, 0
        self._assembly.drop()
        for searcher in self._searchers:
            searcher.begin()
        self._readings.begin()
        self._is_joined = True

    def _send_counts(self) -> bool:
        counts = [sum(row.get(name) for row in self._rows) for name in COUNTS]
        now_ns = time.monotonic_ns()
        clock = (now_ns, self._echo_ns, now_ns - self._echo_at_ns)
        return self._transmit(protocol.Counts(self._sent, self._publisher.version, *clock, *counts))

    def _send(self, message: FromPod, payload: bytes | None = None) -> bool:
        """Sends a message that counts."""
        if not self._transmit(message, payload):
            return False
        self._sent += 1
        return True

    def _transmit(self, message: FromPod, payload: bytes | None = None) -> bool:
        assert self._socket is not None
        data = POD_CODEC.encode(message)
        if not self._socket.send(data, payload):
            return False
        if not isinstance(message, protocol.Part):  # a measurement does not measure itself
            self._counters.add("link_bytes_out", len(data) + len(payload or b""))
        return True

    # What the run says.

    def _receive(self) -> int:
        assert self._socket is not None
        arrivals = self._socket.receive(_MESSAGES_PER_LAP)
        for data, payload in arrivals:
            self._counters.add("link_bytes_in", len(data) + len(payload or b""))
            self._heard_s = self._clock_s.now_s()
            self._take(RUN_CODEC.decode(data), payload)
        return len(arrivals)

    def _take(self, message: FromRun, payload: memoryview | None) -> None:
        match message:
            case protocol.Refused():
                raise UsageError(f"{self._address}: the run refuses this pod: {message.reason}")
            case protocol.Ended():
                self._end(message.reason)
            case protocol.Joined() if message.attempt == self._attempt and not self._is_joined:
                self._begin(message, self._taken(payload))
            case protocol.Rejoin():
                self._is_joined, self._join_due_s = False, 0.0
            case _ if not self._is_joined:
                return  # it was sent before the join
            case protocol.Credit():
                self._take_credit(message, self._taken(payload))
            case protocol.Chunk() if payload is not None:
                self._received += 1
                self._take_chunk(message, payload)
            case protocol.Positions() if payload is not None and 0 <= message.reanalyzer < len(self._searchers):
                self._received += 1
                self._searchers[message.reanalyzer].take(payload)

    def _end(self, reason: str) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._control.send(RunEnded(reason))

    def _taken(self, payload: memoryview | None) -> np.ndarray:
        nbytes = 8 * len(self._readers)
        if payload is None or len(payload) != nbytes:
            raise MessageError(f"{0 if payload is None else len(payload)} bytes of counts, expected {nbytes}")
        return np.frombuffer(payload, np.int64)

    def _take_credit(self, message: protocol.Credit, taken_A: np.ndarray) -> None:
        if message.sent != self._received:  # some were lost with a connection
            self._is_joined, self._join_due_s = False, 0.0
            return
        self._limit = max(self._limit, message.limit)
        self._echo_ns, self._echo_at_ns = message.clock_ns, time.monotonic_ns()
        self._readings.credit(message.trace_ns)
        self._counters.set("learner_steps", message.learner_steps)
        if message.weights_version > self._newest:
            self._newest, self._news_s = message.weights_version, self._clock_s.now_s()
        self._release(np.minimum(taken_A, self._next))

    def _release(self, taken_A: np.ndarray) -> None:
        """Frees the slots of what the run has taken."""
        for reader, bell, taken in zip(self._readers, self._actor_bells, taken_A.tolist(), strict=True):
            has_released = reader.sequence < taken
            while reader.sequence < taken:
                record = reader.peek()
                if record is None:
                    raise MessageError(f"record {taken} is wanted, {reader.sequence} is not there yet")
                self._counters.add("pod_transitions", int(record.length[0]))
                reader.release()
            if has_released:
                bell.ring()

    def _take_chunk(self, chunk: protocol.Chunk, payload: memoryview) -> None:
        if not self._assembly.take(chunk, payload):
            return
        for bell in self._server_bells:
            bell.ring()
        self._counters.set("weights_version", chunk.version)
        self._counters.add("weights_taken")
        self._counters.add("weights_delay", self._clock_s.now_s() - self._news_s)

    # What the run is sent.

    def _send_records(self) -> int:
        """Sends records while there is credit, the actors in turn."""
        sent = 0
        for actor in self._turns.order():
            ahead = self._next[actor] - self._readers[actor].sequence
            record = self._readers[actor].peek(ahead)
            if record is None:
                continue
            if self._records >= self._limit:
                self._waits.mark("credit_wait")
                self._clock.blocked()
                break
            rows = int(record.length[0])
            packed = self._packers.trajectory.pack(record, rows)
            message = protocol.Record(actor, self._next[actor], self._readers[actor].epoch(ahead), rows)
            self._clock.mark(Mark.RECORD_SENT, actor, self._next[actor])
            if not self._send(message, packed):
                break
            self._clock.end(Stage.UPLINK_SEND, rows)
            self._next[actor] += 1
            self._records += 1
            self._turns.served(actor)
            sent += 1
        return sent

    def _ask_for_weights(self, now_s: float) -> int:
        if not self._assembly.is_under_way and self._newest > self._publisher.version:
            self._assembly.begin()
        wanted = self._assembly.wanted()
        for chunk in wanted:
            if not self._send(protocol.Want(chunk)):
                return 0
            self._assembly.asked(chunk)
        return len(wanted)


class _Searcher:
    """One reanalyzer of this pod: positions for it, and its targets."""

    def __init__(self, plane: DataPlane, index: int, packers: Packers, send: Callable[[FromPod, bytes], bool]) -> None:
        self._packers, self._send = packers, send
        self._index, self._trees = index, plane.shape.trees_per_reanalyzer_lane
        self._positions, self._targets = RingWriter(plane.position_ring(index)), RingReader(plane.target_ring(index))
        self._bell = plane.doorbell(Member(Role.REANALYZER, index))
        # At most what the run has out since the join: as many as a position ring holds.
        self._waiting: deque[memoryview] = deque()

    def begin(self) -> None:
        """Begins a link: the run sends again what is not answered."""
        self._waiting.clear()

    def take(self, payload: memoryview) -> None:
        """Takes positions in."""
        self._waiting.append(payload)

    def do_work(self) -> int:
        """Hands positions to the reanalyzer, and targets to the run."""
        return self._hand_over() + self._send_targets()

    def _hand_over(self) -> int:
        slot = self._positions.claim() if self._waiting else None
        if slot is None:
            return 0
        self._packers.positions.unpack(self._waiting.popleft(), self._trees, slot)
        if any(slot.ticket[0] == other.ticket[0] for other in self._positions.waiting()):
            return 1  # sent again after a join, and still being searched
        self._positions.commit()
        self._bell.ring()
        return 1

    def _send_targets(self) -> int:
        slot = self._targets.peek()
        if slot is None:
            return 0
        packed = self._packers.targets.pack(slot, self._trees)
        if not self._send(protocol.Targets(self._index), packed):
            return 0
        self._targets.release()
        self._bell.ring()
        return 1
