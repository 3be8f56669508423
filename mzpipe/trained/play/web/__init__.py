"""Web: matches as pages without a script, for browsers of this machine.

games      the matches by name                                  app      addresses, forms, what is refused
view       what the templates show of a match                   server   the listener on the loopback address
geometry   where places, labels and lines lie in the picture    cells    what is drawn, what can be clicked
"""

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ....errors import InputOutputError, UsageError
from .app import HOST, Games, make_app

# Between two looks for an interrupt.
_LOOK_S = 0.1


class _QuietHandler(WSGIRequestHandler):
    """Does not log what browsers ask for: addresses of games are nobody else's business."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


def serve(games: Games, about: str, port: int, announce: Callable[[str], None]) -> None:
    """Shows the games to browsers of this machine until Ctrl-C, which it raises again as KeyboardInterrupt.

    Port 0 is any free one; announce is told the address. A search under way ends first.
    Raises UsageError for a port that is in use or reserved.
    """
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        # Browsers open connections ahead of what they ask: one that is silent must not hold up the others.
        app = make_app(games, about)
        server = make_server(HOST, number, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno())
        announce(f"http://{HOST}:{number}/")
        _serve_until_interrupted(server)
    # Kept to the end: torch does not outlive an interpreter that ends in the midst of a search, and none begins now.
    games.lock.acquire()
    raise KeyboardInterrupt


def _serve_until_interrupted(server: BaseWSGIServer) -> None:
    """Serves in a thread: an interrupt in the midst of a new connection's start would close that connection.

    Nor may one come in the midst of that thread's own start, so it is only noted until then.
    """
    serving, interrupts = threading.Thread(target=server.serve_forever, daemon=True), []
    former = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        serving.start()
        while serving.is_alive() and not interrupts:
            serving.join(_LOOK_S)
    finally:
        signal.signal(signal.SIGINT, former)
    server.shutdown()
    serving.join()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {port}: in use by another program: give another one, or 0 for any") from None
        if error.errno == errno.EACCES:
            raise UsageError(f"--port {port}: reserved by the system: give one from 1024 on, or 0 for any") from None
        raise InputOutputError(f"--port {port}: cannot listen: {os.strerror(error.errno or 0)}") from None


__all__ = ["Games", "make_app", "serve"]
