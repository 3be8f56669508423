"""Both ends of a link over TCP with CURVE: nothing that an unknown peer sends reaches a decoder.

The run's end is a ROUTER. Before a peer's first message libzmq asks this process, by ZAP (rfc.zeromq.org/spec/27),
whether the peer's public key may enter; the answer names the pod, and every frame from the peer carries that name.

What arrives rings the process's doorbell, as everything does that gives it work. libzmq writes to a socket's descriptor
when a message comes for a reader that has read all before it; a thread that waits for these writes touches no socket.
A send reads that descriptor too, so whoever has sent looks once more before it sleeps.
"""

import os
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import zmq
from zmq.utils import z85

from ..errors import InputOutputError, UsageError
from ..ipc.doorbell import Doorbell
from ..ipc.messages import MAX_MESSAGE_BYTES
from .keys import HeadKeys, PodKey

# Messages that may wait in a socket; credits and windows keep both ends far below it.
_HIGH_WATER_MARK = 10_000
_LAST_WORDS_MS = 500
_ZAP = "inproc://zeromq.zap.01"
_POD_IDENTITY = "pod-{}"
# A second connection with the same key: it asks before the pod starts.
_ASK_IDENTITY = "ask-{}"
# An encrypted frame is longer than what it holds, by 33 bytes in libzmq 4.3; the bound is on what arrives.
_ENCRYPTION_BYTES = 256
# TCP notices a peer whose machine is gone.
_PING_MS, _PING_TIMEOUT_MS = 2_000, 8_000


class Arrival(NamedTuple):
    """A message of one pod: which connection it came by, the message's bytes, and the payload's, if there is one."""

    pod: int
    identity: bytes
    message: bytes
    payload: memoryview | None


class _Ringer:
    """Rings a doorbell at every write to one of the descriptors, until it is closed."""

    def __init__(self, bell: Doorbell, *descriptors: int) -> None:
        self._bell, self._stop = bell, os.eventfd(0)
        self._epoll = select.epoll()
        self._epoll.register(self._stop, select.EPOLLIN)
        for descriptor in descriptors:
            # Edges: a descriptor stays readable until the socket's process has looked.
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)
        self._thread = threading.Thread(target=self._ring, name="link-ringer", daemon=True)
        self._thread.start()

    def _ring(self) -> None:
        while all(descriptor != self._stop for descriptor, _ in self._epoll.poll()):
            self._bell.ring()

    def close(self) -> None:
        """Ends the thread; the descriptors may be closed after that."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        self._epoll.close()
        os.close(self._stop)


class HeadSocket:
    """The run's ROUTER, and the gate-keeper before it."""

    def __init__(
        self,
        keys: HeadKeys,
        host: str,
        port: int,
        *,
        largest: int,
        placed: Callable[[], Mapping[int, str]] = dict,
    ) -> None:
        """Listens; a peer that sends a frame of more than `largest` bytes is disconnected. Raises UsageError.

        `placed` is asked about a key that is not among the head's: keys of pods that have made their own.
        """
        self._context, self._placed = zmq.Context(), placed
        self._names = {public: str(pod) for pod, public in enumerate(keys.pods)}
        self._zap: zmq.Socket[bytes] = self._context.socket(zmq.REP)
        self._zap.bind(_ZAP)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_secretkey, self._socket.curve_publickey = keys.secret.encode(), keys.public.encode()
        self._socket.zap_domain = b"mzpipe"
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        _configure(self._socket, largest)
        self._ringer: _Ringer | None = None
        self._bind(host, port)

    def ring(self, bell: Doorbell) -> None:
        """Rings this doorbell from now on when something may have arrived."""
        self._ringer = _Ringer(bell, _descriptor(self._socket), _descriptor(self._zap))

    def _bind(self, host: str, port: int) -> None:
        where = f"cluster.listen='{host}:{port}'"
        try:
            self._socket.bind(_endpoint(host, port))
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise UsageError(f"{where}: cannot listen there: {error}: name an address of this machine") from None
        last = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.port = int(last.rpartition(":")[2].rstrip("\0"))

    def receive(self, most: int) -> tuple[list[Arrival], int]:
        """At most so many messages that have arrived; and how many were dropped for their form."""
        self._admit()
        arrivals, dropped = [], 0
        for _ in range(most):
            if not _readable(self._socket):
                break
            identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            arrival = self._arrival(identity.bytes, frames)
            if arrival is None:
                dropped += 1
            else:
                arrivals.append(arrival)
        return arrivals, dropped

    def has_arrivals(self) -> bool:
        """Whether a message has arrived that nobody has received."""
        return _readable(self._socket)

    def send(self, identity: bytes, message: bytes, payload: bytes | memoryview | None = None) -> bool:
        """Sends to one connection; False if it is gone, or takes nothing now. A payload may not change any more."""
        frames = [identity, message, *([] if payload is None else [payload])]
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            return False
        return True

    def close(self) -> None:
        """Closes, after sending what is queued, for a moment at most."""
        if self._ringer is not None:
            self._ringer.close()
        self._socket.close(linger=_LAST_WORDS_MS)
        self._zap.close(linger=0)
        self._context.term()

    def _arrival(self, identity: bytes, frames: Sequence[zmq.Frame]) -> Arrival | None:
        if not 1 <= len(frames) <= 2 or len(frames[0]) > MAX_MESSAGE_BYTES:
            return None
        name = str(frames[0].get("User-Id"))
        if identity.decode(errors="replace") not in (_POD_IDENTITY.format(name), _ASK_IDENTITY.format(name)):
            return None  # a pod's key under another pod's name
        return Arrival(int(name), identity, frames[0].bytes, frames[1].buffer if len(frames) == 2 else None)

    def _admit(self) -> None:
        """Answers libzmq's questions about new peers."""
        while _readable(self._zap):
            frames = self._zap.recv_multipart(zmq.NOBLOCK)
            version, request = (frames + [b"", b""])[:2]
            name = self._name(z85.encode(frames[6]).decode()) if _is_curve_question(frames) else None
            code, text = (b"200", b"OK") if name is not None else (b"400", b"unknown key")
            self._zap.send_multipart([version, request, code, text, (name or "").encode(), b""])

    def _name(self, public: str) -> str | None:
        """The number of the pod with this key."""
        placed = (str(pod) for pod, key in self._placed().items() if key == public)
        return self._names.get(public) or next(placed, None)


class PodSocket:
    """A pod's DEALER; `asking` is the connection of the command that starts the pod."""

    def __init__(self, key: PodKey, host: str, port: int, *, largest: int, asking: bool = False) -> None:
        self._context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        identity = (_ASK_IDENTITY if asking else _POD_IDENTITY).format(key.pod)
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.curve_serverkey = key.head_public.encode()
        self.socket.curve_publickey, self.socket.curve_secretkey = key.public.encode(), key.secret.encode()
        self.socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
        _configure(self.socket, largest)
        self._endpoint = _endpoint(host, port)
        self._ringer: _Ringer | None = None

    def ring(self, bell: Doorbell) -> None:
        """Rings this doorbell from now on when something may have arrived."""
        self._ringer = _Ringer(bell, _descriptor(self.socket))

    def connect(self) -> None:
        """Connects in the background, and again whenever the connection is lost."""
        self.socket.connect(self._endpoint)

    def has_arrivals(self) -> bool:
        """Whether a message has arrived that nobody has received."""
        return _readable(self.socket)

    def send(self, message: bytes, payload: bytes | memoryview | None = None) -> bool:
        """Sends to the run; False if the socket takes nothing now. A payload may not change any more."""
        try:
            self.socket.send_multipart([message, *([] if payload is None else [payload])], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def receive(self, most: int) -> list[tuple[bytes, memoryview | None]]:
        """At most so many messages that have arrived, each with its payload; one of another form is left out."""
        arrivals: list[tuple[bytes, memoryview | None]] = []
        while len(arrivals) < most and _readable(self.socket):
            frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            if 1 <= len(frames) <= 2:
                arrivals.append((frames[0].bytes, frames[1].buffer if len(frames) == 2 else None))
        return arrivals

    def close(self) -> None:
        """Closes, after sending what is queued, for a moment at most."""
        if self._ringer is not None:
            self._ringer.close()
        self.socket.close(linger=_LAST_WORDS_MS)
        self._context.term()


def _is_curve_question(frames: Sequence[bytes]) -> bool:
    """Whether a ZAP request has a key: version, request, domain, address, identity, mechanism, key."""
    return len(frames) == 7 and frames[5] == b"CURVE" and len(frames[6]) == 32


def _configure(socket_: zmq.Socket, largest: int) -> None:
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.SNDHWM, _HIGH_WATER_MARK),
        (zmq.RCVHWM, _HIGH_WATER_MARK),
        (zmq.MAXMSGSIZE, max(largest, MAX_MESSAGE_BYTES) + _ENCRYPTION_BYTES),
        (zmq.HEARTBEAT_IVL, _PING_MS),
        (zmq.HEARTBEAT_TIMEOUT, _PING_TIMEOUT_MS),
        (zmq.IPV6, 1),
    ):
        socket_.setsockopt(option, value)


def _endpoint(host: str, port: int) -> str:
    """The endpoint of an address; raises InputOutputError if its host is unknown here."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputOutputError(f"{host}: an unknown host: {error.strerror}") from None
    address = found[0][4][0]
    return f"tcp://[{address}]:{port}" if ":" in str(address) else f"tcp://{address}:{port}"


def _descriptor(socket_: zmq.Socket) -> int:
    return int(socket_.getsockopt(zmq.FD))


def _readable(socket_: zmq.Socket) -> bool:
    return bool(int(socket_.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
