"""The zmq sockets of one process of the case `ipc`, by name, over ipc:// in the runtime directory."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import zmq

# After this time a waiting call gives up, so that its caller can check that the other side still exists.
_LOOK_MS = 20
_HIGH_WATER_MARK = 1000

Got = TypeVar("Got")


class Sockets:
    """The sockets of one process; each is opened on first use, and stays open."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._context = directory, zmq.Context()
        self._sockets: dict[tuple[str, bool], zmq.Socket] = {}

    def bound(self, name: str, kind: int, high_water_mark: int = _HIGH_WATER_MARK) -> zmq.Socket:
        """The end that other processes connect to."""
        return self._opened(name, kind, high_water_mark, bind=True)

    def connected(self, name: str, kind: int, high_water_mark: int = _HIGH_WATER_MARK) -> zmq.Socket:
        """An end that connects; the other end need not exist yet."""
        return self._opened(name, kind, high_water_mark, bind=False)

    def close(self) -> None:
        """Closes all at once."""
        self._context.destroy(linger=0)

    def _opened(self, name: str, kind: int, high_water_mark: int, *, bind: bool) -> zmq.Socket:
        if (name, bind) not in self._sockets:
            socket = self._context.socket(kind)
            for option in (zmq.SNDHWM, zmq.RCVHWM):
                socket.setsockopt(option, high_water_mark)
            for option in (zmq.SNDTIMEO, zmq.RCVTIMEO):
                socket.setsockopt(option, _LOOK_MS)
            endpoint = f"ipc://{self._directory}/zmq-{name}"
            (socket.bind if bind else socket.connect)(endpoint)
            self._sockets[name, bind] = socket
        return self._sockets[name, bind]


def send(socket: zmq.Socket, frame: bytes, look: Callable[[], object]) -> None:
    """Sends a frame; waits for a connection, as `patiently` does."""
    patiently(lambda: socket.send(frame), look)


def patiently(call: Callable[[], Got], look: Callable[[], object]) -> Got:
    """The result of a socket's call; while it waits, `look` is called now and then, and may raise."""
    while True:
        try:
            return call()
        except zmq.Again:
            look()
