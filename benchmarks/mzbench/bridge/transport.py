"""The transport alone: ZeroMQ over loopback TCP, with CURVE or without, one frame after the other."""

import os

import zmq

# Messages that may wait at either end: few, so that what has gathered while others had their turn is little.
_HIGH_WATER_MARK = 8


class Receiver:
    """The end that listens; `public` is its key, empty without CURVE."""

    def __init__(self, *, curve: bool) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        _bound(self._socket)
        self.public = ""
        if curve:
            public, secret = zmq.curve_keypair()
            self._socket.curve_server, self.public = True, public.decode()
            self._socket.curve_secretkey = secret
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")

    def take(self, messages: int) -> None:
        """Waits for so many messages."""
        for _ in range(messages):
            self._socket.recv_multipart(copy=False)

    def close(self) -> None:
        """Closes at once."""
        self._socket.close()
        self._context.term()


def send_for_ever(port: int, public: str, nbytes: int) -> None:
    """Sends frames of random bytes; never returns."""
    socket, data = zmq.Context().socket(zmq.DEALER), os.urandom(nbytes)
    _bound(socket)
    if public:
        socket.curve_serverkey = public.encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.connect(f"tcp://127.0.0.1:{port}")
    while True:
        socket.send_multipart([b"message", data], copy=False)


def _bound(socket: zmq.Socket) -> None:
    for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, _HIGH_WATER_MARK), (zmq.RCVHWM, _HIGH_WATER_MARK)):
        socket.setsockopt(option, value)
