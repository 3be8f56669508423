"""The gateway: serves all pods of a run over one socket. To the replay server it is an actor, and reanalyzers.

Reads   position_ring[j] of the pods, the weights, the learner's step counter
Writes  trajectory_ring[i] of each pod, target_ring[j], the pods' rows
Owns    the run's end of every link, and the only TCP port of a run

A pod that is silent is done without: what its reanalyzers had got goes back unanswered. If it speaks again, its link
goes on.
"""

import numpy as np

from ..config import profile_text
from ..config.cluster import split_address
from ..errors import MessageError
from ..ipc.counters import BY_NAME
from ..ipc.messages import Note
from ..ipc.pods import COUNTS
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.weights import WeightsSubscriber
from ..runs.directory import run_id_of
from ..runtime.agent import Agent
from ..runtime.attended import AttendedClock
from ..runtime.context import RoleContext
from . import protocol
from .identity import ADDRESS_FILE, code_identity, layout_digest, profile_digest
from .keys import pod_key_path, read_head_keys, read_placed
from .pod_link import Gap, Packers, PodLink
from .protocol import POD_CODEC, RUN_CODEC, FromPod, FromRun
from .sockets import Arrival, HeadSocket
from .transfer import WeightsSource

# Messages taken in one lap, so that a lap stays short.
_MESSAGES_PER_LAP = 64
# Of the time between two laps, no more than this counts as a pod's silence: this process may have been stopped.
_LONGEST_LAP_S = 1.0
_MAX_EPOCHS = 1 << 16


class Gateway(Agent):
    """Agent of role `gateway`."""

    role = Role.GATEWAY

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._run = context.storage.run
        self._learner = self._plane.counters(Member(Role.LEARNER, 0))
        self._bell = self._plane.doorbell(Member(Role.REPLAY, 0))
        self._clock_s = AttendedClock(_LONGEST_LAP_S)
        self._socket: HeadSocket | None = None

    def on_start(self) -> None:
        """Listens where the profile says, or where a killed gateway of this run did."""
        plane, keys = self._plane, read_head_keys(self._run)
        packers, source = Packers(plane), WeightsSource(WeightsSubscriber(plane.weights()))
        self._links = [PodLink(plane, pod, packers, source) for pod in range(plane.shape.pods)]
        now_s = self._clock_s.now_s()
        self._heard_s = [now_s] * len(self._links)
        self._identity = (code_identity(), run_id_of(plane.directory), layout_digest(plane.shape))
        self._profile_text, self._profile_digest = profile_text(self._profile), profile_digest(self._profile)
        address = plane.directory / ADDRESS_FILE
        host, port = split_address(address.read_text() if address.exists() else self._profile.cluster.listen)
        self._socket = HeadSocket(keys, host, port, largest=packers.largest, placed=lambda: read_placed(self._run))
        self._socket.ring(plane.doorbell(self._member))
        if not address.exists():
            address.write_text(f"{host}:{self._socket.port}")
            key = pod_key_path(self._run, 0)
            self._note(f"pods join with: mzpipe pod {host}:{self._socket.port} --key {key}")
        self._ending = False

    def do_work(self) -> int:
        """Takes in what pods have sent, and sends what they are to get."""
        assert self._socket is not None
        arrivals, dropped = self._socket.receive(_MESSAGES_PER_LAP)
        if dropped:
            self._counters.add("refused_pods", dropped)
        for arrival in arrivals:
            self._take(arrival)
        if arrivals:
            self._clock.end(Stage.GATEWAY_TAKE, len(arrivals))
        now_s, steps = self._clock_s.now_s(), self._learner.get("learner_steps")
        sent = sum(self._serve(link, now_s, steps) for link in self._links)
        if sent:
            self._clock.end(Stage.GATEWAY_SEND, sent)
        # A send may have taken in what would have rung.
        return len(arrivals) + dropped + sent or int(self._socket.has_arrivals())

    def drain(self) -> bool:
        """Tells the pods that the run ends, and takes in what they still hand over; False while one is not done."""
        if not self._ending:
            self._ending = True
            for link in self._links:
                self._send(link, protocol.Ended("the run has ended"))
        self.do_work()
        return not any(link.is_joined and link.row.is_linked for link in self._links)

    def on_close(self) -> None:
        """Sends the last words, and closes the port."""
        if self._socket is not None:
            self._socket.close()

    # What pods say.

    def _take(self, arrival: Arrival) -> None:
        link = self._links[arrival.pod] if arrival.pod < len(self._links) else None
        self._counters.add("link_bytes_in", len(arrival.message) + len(arrival.payload or b""))
        if link is None:
            return self._refuse(arrival, f"the run has cluster.pods={len(self._links)}: raise it, or take another key")
        try:
            message = POD_CODEC.decode(arrival.message)
            if isinstance(message, protocol.Ask):
                self._answer(arrival, link, message)
                return None
            self._heard_s[link.pod] = self._clock_s.now_s()
            if isinstance(message, protocol.Join):
                self._join(arrival, link, message)
            elif link.is_joined:
                self._take_joined(link, message, arrival.payload)
            elif not link.has_left:
                self._send(link, protocol.Rejoin())
        except MessageError as error:
            self._part(link)
            self._refuse(arrival, f"it sends what no pod sends: {str(error)[:200]}")
        return None

    def _take_joined(self, link: PodLink, message: FromPod, payload: memoryview | None) -> None:
        try:
            transitions = link.take(message, payload)
        except Gap:
            link.is_joined = False
            self._counters.add("rejoins")
            self._send(link, protocol.Rejoin())
            return
        if transitions:
            self._counters.add("pod_transitions", transitions)
        match message:
            case protocol.Counts():
                self._count_played()
            case protocol.Record() | protocol.Targets():
                self._bell.ring()
            case protocol.Leave():
                self._part(link)
                self._note(f"pod-{link.pod} has left: {message.reason[:200]}")

    def _answer(self, arrival: Arrival, link: PodLink, message: protocol.Ask) -> None:
        """Tells the command that starts a pod what to play, unless another process has the pod's key."""
        if message.code != self._identity[0]:
            self._refuse(
                arrival, f"it has mzpipe {message.code[:80]!r}, the run {self._identity[0]!r}: install the same"
            )
        elif self._ending:
            self._reply(arrival, protocol.Ended("the run has ended"))
        elif link.row.is_linked:
            self._reply(arrival, protocol.Busy())
        else:
            steps = self._learner.get("learner_steps")
            shape = self._plane.shape
            told = protocol.Told(self._identity[1], link.row.next_start(), steps, shape.is_measured, shape.trace_events)
            self._reply(arrival, told, self._profile_text.encode())

    def _join(self, arrival: Arrival, link: PodLink, message: protocol.Join) -> None:
        fault = self._fault_of(message, link)
        if fault:
            return self._refuse(arrival, fault)
        answer, lost = link.join(message)
        self._count()
        if lost:
            self._note(f"pod-{link.pod}: {lost:,} transitions that its former life had played are lost")
        if message.attempt == 1:
            self._note(f"pod-{link.pod} has joined")
        self._reply(arrival, answer, link.taken())
        return None

    def _fault_of(self, message: protocol.Join, link: PodLink) -> str:
        """Why a pod may not join; "" if it may."""
        code, run_id, layout = self._identity
        if message.code != code:
            return f"it has mzpipe {message.code[:80]!r}, the run {code!r}: install the same"
        if message.run_id != run_id:
            return "it belongs to a session of the run that has ended: start it anew"
        if message.profile != self._profile_digest:
            return "it plays by another profile than the run's: start it anew"
        if message.layout != layout:
            return "its records have another layout than the run's: start it anew"
        if not 0 < message.session < 1 << 62 or link.row.sessions >= _MAX_EPOCHS - 1:
            return f"session {message.session}, life {link.row.sessions}: out of range"
        return ""

    # What pods are told.

    def _serve(self, link: PodLink, now_s: float, learner_steps: int) -> int:
        row, is_silent = link.row, now_s - self._heard_s[link.pod] > protocol.SILENCE_S
        if row.is_linked and is_silent:
            self._note(
                f"pod-{link.pod} has been silent for {protocol.SILENCE_S:.0f} s: the run goes on without it; "
                f"{row.on_their_way():,} transitions that it has played are lost unless it comes back"
            )
            self._link(link, False)
        elif link.is_joined and not row.is_linked and not is_silent:
            self._link(link, True)
        if not row.is_linked:
            given_back = link.give_back()
            if given_back:
                self._bell.ring()
            return given_back
        if not link.is_joined:
            return 0
        return link.send_due(now_s, learner_steps, lambda *frames: self._send(link, *frames))

    def _link(self, link: PodLink, is_linked: bool) -> None:
        link.row.is_linked = is_linked
        self._count()

    def _part(self, link: PodLink) -> None:
        link.is_joined = False
        self._link(link, False)

    def _count(self) -> None:
        self._counters.set("links", sum(link.row.is_linked for link in self._links))
        self._counters.set("pod_lost", sum(link.row.lost for link in self._links))

    def _count_played(self) -> None:
        counted_PC = np.array([link.row.counted() for link in self._links])
        for name, word in zip(COUNTS, counted_PC.sum(axis=0), strict=True):
            self._counters.set(name, int(word) / BY_NAME[name].kind.scale)

    def _refuse(self, arrival: Arrival, reason: str) -> None:
        self._counters.add("refused_pods")
        self._note(f"pod-{arrival.pod} is refused: {reason}")
        self._reply(arrival, protocol.Refused(reason))

    def _reply(self, arrival: Arrival, message: FromRun, payload: bytes | None = None) -> None:
        self._send_to(arrival.identity, message, payload)

    def _send(self, link: PodLink, message: FromRun, payload: bytes | memoryview | None = None) -> bool:
        return self._send_to(f"pod-{link.pod}".encode(), message, payload)

    def _send_to(self, identity: bytes, message: FromRun, payload: bytes | memoryview | None = None) -> bool:
        assert self._socket is not None
        data = RUN_CODEC.encode(message)
        if not self._socket.send(identity, data, payload):
            return False
        self._counters.add("link_bytes_out", len(data) + len(payload or b""))
        return True

    def _note(self, line: str) -> None:
        self._control.send(Note(line))
