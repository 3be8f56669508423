"""What the command that starts a pod asks the run: what to play.

A wrong address or key shows here, before anything starts.
"""

import time
from typing import NamedTuple

import zmq
from zmq.utils.monitor import recv_monitor_message

from ..config import Profile, parse_profile
from ..errors import AlreadyRunningError, InputOutputError, UsageError
from ..ipc.messages import MAX_MESSAGE_BYTES
from . import protocol
from .identity import code_identity, profile_digest
from .keys import PodKey
from .protocol import POD_CODEC, RUN_CODEC
from .sockets import PodSocket

# The run answers within this time; a former life of the pod is forgotten by then.
_ANSWER_S = 15.0
_ASK_AGAIN_S = 1.0
_REFUSED_KEY = (zmq.EVENT_HANDSHAKE_FAILED_AUTH,)
_WRONG_KEY = (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)


class Answer(NamedTuple):
    """The run's profile, its digest, and what tells this start of the pod from others."""

    profile: Profile
    digest: str
    told: protocol.Told


def ask(key: PodKey, host: str, port: int) -> Answer:
    """Asks the run what to play; raises UsageError, AlreadyRunningError or InputOutputError if it does not say."""
    socket = PodSocket(key, host, port, largest=MAX_MESSAGE_BYTES, asking=True)
    monitor = socket.socket.get_monitor_socket()
    try:
        socket.connect()
        return _Question(socket, monitor, f"{host}:{port}").answer()
    finally:
        socket.socket.disable_monitor()
        monitor.close(linger=0)
        socket.close()


class _Question:
    def __init__(self, socket: PodSocket, monitor: zmq.Socket, address: str) -> None:
        self._socket, self._monitor, self._address = socket, monitor, address
        self._is_connected = self._is_busy = False

    def answer(self) -> Answer:
        deadline_s, ask_at_s = time.monotonic() + _ANSWER_S, 0.0
        poller = zmq.Poller()
        poller.register(self._socket.socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while (now_s := time.monotonic()) < deadline_s:
            if now_s >= ask_at_s:
                self._socket.send(POD_CODEC.encode(protocol.Ask(code_identity())))
                ask_at_s = now_s + _ASK_AGAIN_S
            poller.poll(max(0, round((min(deadline_s, ask_at_s) - now_s) * 1000)))
            self._look_at_connection()
            for data, payload in self._socket.receive(8):
                answer = self._take(data, payload)
                if answer is not None:
                    return answer
        if self._is_busy:
            raise AlreadyRunningError(f"{self._address}: another process plays with this key: end it, or take another")
        if self._is_connected:
            raise InputOutputError(f"{self._address}: something listens there, and does not answer as a run does")
        raise InputOutputError(
            f"{self._address}: nothing answers there within {_ANSWER_S:.0f} s: is the run live, and the port open?"
        )

    def _take(self, data: bytes, payload: memoryview | None) -> Answer | None:
        match RUN_CODEC.decode(data):
            case protocol.Told() as told if payload is not None:
                profile = parse_profile(bytes(payload).decode(), source=f"the profile of {self._address}")
                return Answer(profile, profile_digest(profile), told)
            case protocol.Refused() as refused:
                raise UsageError(f"{self._address}: the run refuses this pod: {refused.reason}")
            case protocol.Ended() as ended:
                raise UsageError(f"{self._address}: {ended.reason}")
            case protocol.Busy():
                self._is_busy = True
        return None

    def _look_at_connection(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self._is_connected = self._is_connected or event == zmq.EVENT_CONNECTED
            if event in _REFUSED_KEY:
                raise UsageError(f"{self._address}: the run does not know this key: copy RUN/cluster/pod-N.json again")
            if event in _WRONG_KEY:
                raise UsageError(f"{self._address}: the key is of another run: copy RUN/cluster/pod-N.json again")
