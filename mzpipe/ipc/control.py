"""Control plane: the supervisor's ROUTER, each role's DEALER, and the shared stop word.

Bulk data never travels here. A role's identity is its name (`actor-0`), so a
restarted process takes over its predecessor's place.
"""

from collections import deque
from pathlib import Path
from typing import Protocol

import numpy as np
import zmq

from ..errors import InputOutputError, MessageError
from . import atomics
from .layout import WORDS_PER_LINE, ArrayLayout, Field
from .messages import MAX_MESSAGE_BYTES, Message, decode, encode

# sun_path of a Unix socket, without the final zero byte.
MAX_IPC_PATH_BYTES = 107
_HIGH_WATER_MARK = 1000
_LAST_WORDS_MS = 1000
RUNNING = 0


def stop_layout() -> ArrayLayout:
    """The stop word of a run."""
    return ArrayLayout([Field("words", "int64", (WORDS_PER_LINE,))])


class StopWord:
    """One shared word: the stop stage of the run. A role stops once the stage reaches its own."""

    def __init__(self, words: np.ndarray) -> None:
        self._words = words

    def raise_to(self, stage: int) -> None:
        """Stops every role whose stage is at most `stage`; only the supervisor calls it."""
        # SYNC stop.raise release: nothing but the stage itself
        atomics.store_release(self._words, 0, stage)

    def stage(self) -> int:
        """The stage that the run has reached; RUNNING until it stops."""
        # SYNC stop.raise acquire: nothing but the stage itself
        return atomics.load_acquire(self._words, 0)


class ControlPort(Protocol):
    """A role's connection to the supervisor."""

    def send(self, message: Message) -> None:
        """Queues a message for the supervisor; never blocks."""

    def receive(self) -> list[Message]:
        """Messages that have arrived since the last call; never blocks."""

    def close(self) -> None:
        """Ends the connection."""


class RoleSocket:
    """A role's DEALER."""

    def __init__(self, path: Path, identity: str) -> None:
        endpoint = _endpoint(path)
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, identity.encode())
        _configure(self._socket)
        self._socket.connect(endpoint)

    def send(self, message: Message) -> None:
        """Queues a message for the supervisor; a full queue drops the message instead of waiting."""
        try:
            self._socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return  # the supervisor is gone or stuck; the death pipe decides what happens next

    def receive(self) -> list[Message]:
        """Messages that have arrived."""
        messages: list[Message] = []
        while _readable(self._socket):
            messages.append(decode(self._socket.recv(zmq.NOBLOCK)))
        return messages

    def wait(self, timeout_s: float) -> bool:
        """Waits for a message; False when none came in time."""
        return bool(self._socket.poll(round(timeout_s * 1000)))

    def close(self) -> None:
        """Sends the queued messages, for at most a second, then closes."""
        self._socket.close(linger=_LAST_WORDS_MS)
        self._context.term()  # waits for the sending, because the process may end right after this call


class SupervisorSocket:
    """The supervisor's ROUTER."""

    def __init__(self, path: Path) -> None:
        endpoint = _endpoint(path)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        _configure(self._socket)
        self._socket.bind(endpoint)
        path.chmod(0o600)

    @property
    def socket(self) -> zmq.Socket:
        """The socket itself, for a poller."""
        return self._socket

    def send(self, identity: str, message: Message) -> bool:
        """Sends to one role; False when it is not connected."""
        try:
            self._socket.send_multipart([identity.encode(), encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def receive(self) -> list[tuple[str, Message | MessageError]]:
        """(identity, message) of everything that has arrived; a malformed message is returned as its MessageError."""
        messages: list[tuple[str, Message | MessageError]] = []
        while _readable(self._socket):
            identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            messages.append((identity.decode(errors="replace"), _decoded(frames)))
        return messages

    def close(self) -> None:
        """Closes at once."""
        self._socket.close(linger=0)


class LocalPort:
    """Both ends of a control connection inside one process (`--serial`)."""

    def __init__(self) -> None:
        self.to_role: deque[Message] = deque()
        self.to_supervisor: deque[Message] = deque()

    def send(self, message: Message) -> None:
        """Queues a message for the supervisor."""
        self.to_supervisor.append(message)

    def receive(self) -> list[Message]:
        """Messages from the supervisor since the last call."""
        messages = list(self.to_role)
        self.to_role.clear()
        return messages

    def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _decoded(frames: list[bytes]) -> Message | MessageError:
    try:
        if len(frames) != 1:
            raise MessageError(f"message of {1 + len(frames)} frames, expected 2")
        return decode(frames[0])
    except MessageError as error:
        return error


def _configure(socket: zmq.Socket) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
    socket.setsockopt(zmq.RCVHWM, _HIGH_WATER_MARK)


def _readable(socket: zmq.Socket) -> bool:
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def _endpoint(path: Path) -> str:
    if len(str(path).encode()) > MAX_IPC_PATH_BYTES:
        raise InputOutputError(f"{path}: a socket path has at most {MAX_IPC_PATH_BYTES} bytes")
    return f"ipc://{path}"
