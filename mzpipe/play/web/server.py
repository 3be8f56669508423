"""Server: the page's listener, on the loopback address, there only when a person asks for the page."""

import errno
import os
import socket
from collections.abc import Callable

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from ...errors import InputOutputError, UsageError
from .app import HOST


class _QuietHandler(WSGIRequestHandler):
    """Does not log what browsers ask for: addresses of games are nobody else's business."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


def serve(app: Flask, port: int, announce: Callable[[str], None]) -> None:
    """Answers browsers of this machine until Ctrl-C, which it raises again as KeyboardInterrupt.

    Port 0 is any free one; announce is told the address. Raises UsageError for a port that is in use or reserved.
    """
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        # Browsers open connections ahead of what they ask: one that is silent must not hold up the others.
        server = make_server(HOST, number, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno())
        announce(f"http://{HOST}:{number}/")
        server.serve_forever()  # takes Ctrl-C for its end
    raise KeyboardInterrupt


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {port}: in use by another program: give another one, or 0 for any") from None
        if error.errno == errno.EACCES:
            raise UsageError(f"--port {port}: reserved by the system: give one from 1024 on, or 0 for any") from None
        raise InputOutputError(f"--port {port}: cannot listen: {os.strerror(error.errno or 0)}") from None
