"""Games: the matches that pages show, by names that nobody can guess."""

import secrets
from collections.abc import Callable
from threading import Lock

from ...trained.play.match import Match

_MOST_GAMES = 100


class Games:
    """The newest matches; the oldest one goes for every one too many."""

    def __init__(self, new_match: Callable[[int], Match]) -> None:
        # Held by whoever reads or plays: searches of all matches share their arrays.
        self.lock = Lock()
        self._new_match = new_match
        self._matches: dict[str, Match] = {}

    def open(self, seat: int) -> str:
        """The name of a new match with the person at this seat."""
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
