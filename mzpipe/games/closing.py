"""Closes games on every path, within a limit: what a game started must not outlive it, or hold back its process.

Also says where a game hangs, for a command that plays it.
"""

import contextlib
import signal
import sysconfig
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeVar

from ..errors import GameError
from .checked import asked
from .game import Game

_G = TypeVar("_G", bound=Game)
# For all games of a batch together; the least for one of them.
LIMIT_S, _LEAST_S = 5.0, 0.1
_LIBRARY = sysconfig.get_path("stdlib")


class _OverdueError(BaseException):
    """Raised inside a game that takes too long; no `except Exception` of the game takes it."""


def close_all(name: str, games: Collection[object]) -> None:
    """Calls every close(); then raises GameError for the first that failed, or that the limit cut short."""
    faults: list[GameError] = []
    deadline_s = time.monotonic() + LIMIT_S
    for game in games:
        try:
            with _alarmed(_raise_overdue, max(_LEAST_S, deadline_s - time.monotonic())):
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


@contextlib.contextmanager
def going_on(name: str, moves: Callable[[], int], limit_s: float) -> Iterator[None]:
    """Raises GameError, with the line that hangs, once the number of moves has not changed for `limit_s`.

    What hangs inside a library that is no Python is not interrupted.
    """
    last, where = moves(), ""

    def look(_: int, frame: FrameType | None) -> None:
        nonlocal last, where
        former, last = last, moves()
        if last == former:
            where = _line_of(frame)
            raise _OverdueError

    try:
        with _alarmed(look, limit_s, again_s=limit_s):
            yield
    except _OverdueError:
        raise GameError(f"{name}: it hangs: no move has ended for {limit_s:g} s{where}") from None


def _line_of(frame: FrameType | None) -> str:
    """The innermost line that is not Python's own library's, in brackets."""
    while frame is not None and _is_pythons(frame.f_code.co_filename):
        frame = frame.f_back
    return f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})" if frame else ""


def _is_pythons(file: str) -> bool:
    return file.startswith((_LIBRARY, "<frozen")) and "site-packages" not in file


def _nothing() -> None:
    """The close() of a game without one."""


@contextlib.contextmanager
def _alarmed(ring: Callable[[int, FrameType | None], None], after_s: float, *, again_s: float = 0.0) -> Iterator[None]:
    """Calls `ring` inside, unless this is not the process's main thread, which alone can be interrupted.

    Afterwards an alarm around this one goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGALRM, ring)
    outer = signal.setitimer(signal.ITIMER_REAL, after_s, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, *outer)


def _raise_overdue(*_: object) -> None:
    raise _OverdueError
