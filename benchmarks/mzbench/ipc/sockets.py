"""The zmq sockets of one process of the case `ipc`, by name, over ipc:// in the runtime directory."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import zmq

# After so long a call gives up once, for a look at whether there is still somebody to wait for.
_LOOK_MS = 20
_HIGH_WATER_MARK = 1000

Got = TypeVar("Got")


class Sockets:
    """Each socket is opened when it is first asked for, and stays."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._context = directory, zmq.Context()
        self._sockets: dict[tuple[str, bool], zmq.Socket] = {}

    def bound(self, name: str, kind: int, high_water_mark: int = _HIGH_WATER_MARK) -> zmq.Socket:
        """The end that others connect to."""
        return self._opened(name, kind, high_water_mark, bind=True)

    def connected(self, name: str, kind: int, high_water_mark: int = _HIGH_WATER_MARK) -> zmq.Socket:
        """An end that connects; the other one need not be there yet."""
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
    """Hands a frame over; waits as `patiently` does for somebody to be connected."""
    patiently(lambda: socket.send(frame), look)


def patiently(call: Callable[[], Got], look: Callable[[], object]) -> Got:
    """What a socket's call gives; `look` is called whenever it has waited a while, and may raise."""
    while True:
        try:
            return call()
        except zmq.Again:
            look()
