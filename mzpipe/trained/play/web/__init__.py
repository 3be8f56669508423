"""Serves matches as pages without scripts, to browsers on this machine only.

app        the matches by name, addresses, forms, refusals      view   the data that the templates show of a match
geometry   where places, labels and lines are in the picture
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

# The interval at which the server checks for an interrupt.
_LOOK_S = 0.1
# A browser that sends nothing for so long, in the middle of a request too, is hung up on.
_SILENT_S = 60.0


class _QuietHandler(WSGIRequestHandler):
    """A handler that logs no requests, because a game's address gives access to it."""

    timeout = _SILENT_S

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing."""


def serve(games: Games, about: str, port: int, announce: Callable[[str], None]) -> None:
    """Serves the games to browsers on this machine until Ctrl-C, which it raises again as KeyboardInterrupt.

    Port 0 takes any free port; announce is called with the address. A search under way finishes first.
    Raises UsageError for a port that is in use or reserved.
    """
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        # Browsers open connections before they send a request: an idle one must not block the others.
        app = make_app(games, about)
        server = make_server(HOST, number, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno())
        announce(f"http://{HOST}:{number}/")
        _serve_until_interrupted(server)
    # Held until the process exits, so that no new search begins: torch fails if the interpreter ends during one.
    games.lock.acquire()
    raise KeyboardInterrupt


def _serve_until_interrupted(server: BaseWSGIServer) -> None:
    """Serves in a thread, because an interrupt while a new connection starts would close that connection.

    An interrupt during that thread's own start would do harm too, so it is only recorded until then.
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
