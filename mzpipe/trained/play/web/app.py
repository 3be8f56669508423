"""The addresses of the page. A game is its list of actions; every request is checked against the rules.

Only browsers on this machine may use it: requests under another host name (DNS rebinding) and forms of other sites are
refused; a game's address cannot be guessed.
"""

import secrets
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from ....errors import MzpipeError, SearchInputError, UsageError
from ....games.notation.position import FIRST, SECOND
from ....pages import page_environment
from ..match import Match
from .view import View

_MOST_GAMES = 100
_MOST_FORM_BYTES = 4096
HOST = "127.0.0.1"
_HOSTS = [HOST, "localhost"]
_SEATS = {"first": FIRST, "second": SECOND}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Games:
    """The newest matches; when there are too many, the oldest is dropped."""

    def __init__(self, new_match: Callable[[int], Match]) -> None:
        # Held while a match is read or played: searches of all matches share their arrays.
        self.lock = Lock()
        self._new_match = new_match
        self._matches: dict[str, Match] = {}

    def open(self, seat: int) -> str:
        """Starts a match with the person in this seat, and returns its name."""
        name = secrets.token_urlsafe(12)
        self._matches[name] = self._new_match(seat)
        if len(self._matches) > _MOST_GAMES:
            del self._matches[next(iter(self._matches))]
        return name

    def find(self, name: str) -> Match | None:
        """The match of that name, if it is still there."""
        return self._matches.get(name)

    def newest(self) -> str:
        """The name of the match that was opened last; there must be one."""
        return next(reversed(self._matches))


def make_app(games: Games, about: str) -> Flask:
    """The application that serves these games; `about` names the opponent."""
    app = Flask(__name__, static_folder=None)
    app.config.update(TRUSTED_HOSTS=_HOSTS, MAX_CONTENT_LENGTH=_MOST_FORM_BYTES)
    pages = _Pages(games, about)

    def one_at_a_time(answer: Any) -> Any:
        @wraps(answer)
        def alone(**parts: str) -> Any:
            with games.lock:
                return answer(**parts)

        return alone

    app.before_request(_refuse_other_sites)
    app.before_request(_read_form)
    app.after_request(_add_headers)
    app.register_error_handler(MzpipeError, _say_fault)
    app.get("/")(one_at_a_time(pages.first))
    app.post("/games")(one_at_a_time(pages.open))
    app.get("/games/<name>")(one_at_a_time(pages.show))
    app.post("/games/<name>/moves")(one_at_a_time(pages.move))
    app.post("/games/<name>/back")(one_at_a_time(pages.take_back))
    return app


class _Pages:
    """The answer at each address: a page, or after a form a redirect to the page with its effect."""

    def __init__(self, games: Games, about: str) -> None:
        self._games, self._about = games, about
        self._template = page_environment(Path(__file__).parent).get_template("page.html")

    def first(self) -> AnyResponse:
        """Shows the newest game."""
        return _see(self._games.newest())

    def open(self) -> AnyResponse:
        """Starts a new game with the person in the seat that the form names."""
        seat = _SEATS.get(request.form.get("seat", ""))
        if seat is None:
            abort(400, f"seat: give one of {', '.join(_SEATS)}")
        return _see(self._games.open(seat))

    def show(self, name: str) -> AnyResponse:
        """Shows one game, with the clicked part of the next move."""
        match = self._find(name)
        try:
            view = View(match, request.args.get("from", ""), request.args.get("to", ""))
        except UsageError as error:
            return self._refused(name, match, error)
        return self._page(name, view)

    def move(self, name: str) -> AnyResponse:
        """Plays the action of the form, unless the game has changed since the page was shown."""
        match = self._find(name)
        action, ply = (request.form.get(field, -1, type=int) for field in ("action", "ply"))
        try:
            if ply != len(match.played):
                raise UsageError("the game has changed since that page was shown: nothing was played")
            match.play(action)
        except (UsageError, SearchInputError) as error:
            return self._refused(name, match, error)
        return _see(name)

    def take_back(self, name: str) -> AnyResponse:
        """Undoes the last move and its answer."""
        match = self._find(name)
        try:
            match.take_back()
        except UsageError as error:
            return self._refused(name, match, error)
        return _see(name)

    def _find(self, name: str) -> Match:
        match = self._games.find(name)
        if match is None:
            abort(404, "no such game: it is too old, or mzpipe was restarted: open the first page")
        return match

    def _refused(self, name: str, match: Match, error: MzpipeError) -> AnyResponse:
        return self._page(name, View(match), notice=str(error), status=400)

    def _page(self, name: str, view: View, notice: str = "", status: int = 200) -> AnyResponse:
        return Response(self._template.render(name=name, view=view, about=self._about, notice=notice), status)


def _see(name: str) -> AnyResponse:
    """Redirects to the page of the game, so that a reload plays nothing again."""
    return redirect(f"/games/{name}", 303)


def _refuse_other_sites() -> None:
    """Refuses forms of other sites: a browser sends the origin of a form."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        abort(403, "this form comes from another site")


def _read_form() -> None:
    """Reads the whole form before the lock is taken: one of which a half is sent must hold up nobody else."""
    request.get_data(parse_form_data=True)


def _say_fault(error: MzpipeError) -> AnyResponse:
    """Shows the agent's failure in one line."""
    return Response(f"{error}\n", 500, mimetype="text/plain")


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
