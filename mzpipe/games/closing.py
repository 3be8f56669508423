"""Closes games on every path, within a limit: what a game started must not outlive it, or hold back its process."""

import contextlib
import signal
import threading
import time
from collections.abc import Collection, Iterator
from typing import TypeVar

from ..errors import GameError
from .checked import asked
from .game import Game

_G = TypeVar("_G", bound=Game)
# For all games of a batch together; the least for one of them.
LIMIT_S, _LEAST_S = 5.0, 0.1


class _OverdueError(BaseException):
    """Raised inside a close() that takes too long; no `except Exception` of the game takes it."""


def close_all(name: str, games: Collection[object]) -> None:
    """Calls every close(); then raises GameError for the first that failed, or that the limit cut short."""
    faults: list[GameError] = []
    deadline_s = time.monotonic() + LIMIT_S
    for game in games:
        try:
            with _limited(max(_LEAST_S, deadline_s - time.monotonic())):
                asked(name, "close()", getattr(game, "close", _nothing))
        except GameError as error:
            faults.append(error)
        except _OverdueError:
            faults.append(GameError(f"{name}: close() did not return within {LIMIT_S:g} s"))
    if faults:
        raise faults[0]


@contextlib.contextmanager
def closed_if_it_fails(name: str, games: Collection[object]) -> Iterator[None]:
    """Closes the games if the block raises: they were made in vain."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(GameError):
            close_all(name, games)
        raise


@contextlib.contextmanager
def opened(game: _G) -> Iterator[_G]:
    """Closes the game at the end; a fault of its close() does not hide an error that came before."""
    with closed_if_it_fails(game.spec.name, [game]):
        yield game
    game.close()


def _nothing() -> None:
    """The close() of a game without one."""


@contextlib.contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    """Raises _OverdueError inside once the limit has passed; only a process's main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGALRM, _raise_overdue)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former or signal.SIG_DFL)


def _raise_overdue(*_: object) -> None:
    raise _OverdueError
