"""How long a move may take, from the time controls that controllers send.

A control for a whole game is shared out evenly over the moves that are thought to come, of what is left before each.
"""

from collections.abc import Sequence

from ....errors import UsageError
from ....games.notation.position import FIRST

# The moves that a player is thought to have left where a control does not say.
_MOVES_TO_GO = 30
# A move is sent so much earlier than its limit, at most at half of it: a batch of the network may be under way.
_MARGIN_S = 0.03
# The limit of a player whose time is up.
_LEAST_S = 0.01
_WHITE, _BLACK = ("wtime", "winc"), ("btime", "binc")
_NUMBERS = (*_WHITE, *_BLACK, "movestogo", "byoyomi", "movetime")


def go_limit(words: Sequence[str], seat: int, protocol: str) -> float | None:
    """Seconds for the move that UCI's or USI's `go` asks for; None: no limit.

    `movetime` is the limit itself. Else a player has a share of the time left, the increment, and byoyomi.
    Raises UsageError for a number that is none, and for a movetime of 0.
    """
    given = {
        word: _number_of(word, words[place + 1 : place + 2]) for place, word in enumerate(words) if word in _NUMBERS
    }
    if "infinite" in words or "ponder" in words:
        return None
    if "movetime" in given:
        if given["movetime"] <= 0:
            raise UsageError(f"go: movetime {given['movetime']} must be more than 0")
        return _with_margin(given["movetime"] / 1e3)
    # Black moves first in shogi, white in chess.
    first, second = (_BLACK, _WHITE) if protocol == "usi" else (_WHITE, _BLACK)
    time, increment = first if seat == FIRST else second
    if time not in given and "byoyomi" not in given:
        return None
    left, extra = given.get(time, 0), given.get("byoyomi", 0)
    share = left / max(given.get("movestogo", _MOVES_TO_GO), 1) + given.get(increment, 0)
    return _with_margin((min(share, left) + extra) / 1e3)


def _number_of(word: str, words: Sequence[str]) -> int:
    try:
        return int(words[0])
    except (IndexError, ValueError):
        raise UsageError(f"go: {word} {' '.join(words)[:20]!r} is no whole number") from None


def _with_margin(seconds: float) -> float:
    return max(seconds - _MARGIN_S, seconds / 2.0, _LEAST_S)


class GameClock:
    """GTP's clock of both players: main time, then periods of overtime with a number of moves each."""

    def __init__(self) -> None:
        self.set(0.0, 1.0, 0)

    def set(self, main: float, overtime: float, stones: int) -> None:
        """Takes `time_settings`; overtime without stones means that there is no limit."""
        self._main, self._is_on = main, not (overtime > 0.0 and stones == 0)
        self._per_move = overtime / stones if stones else 0.0
        self.restart()

    def restart(self) -> None:
        """Gives both players their main time."""
        self._left = [self._main, self._main]
        # Seconds for the next move in a period, where the controller has told what is left of that.
        self._told: list[float | None] = [None, None]

    def tell(self, seat: int, seconds: float, stones: int) -> None:
        """Takes `time_left`: of the main time, with 0 stones, or of a period."""
        self._is_on = True
        self._left[seat], self._told[seat] = (0.0, seconds / stones) if stones else (seconds, None)

    def limit(self, seat: int) -> float | None:
        """Seconds for this player's next move; None: no limit."""
        if not self._is_on:
            return None
        told = self._told[seat]
        return _with_margin(max(self._left[seat] / _MOVES_TO_GO, self._per_move) if told is None else told)

    def spend(self, seat: int, seconds: float) -> None:
        """Takes the time of a move off."""
        self._left[seat] = max(0.0, self._left[seat] - seconds)
        self._told[seat] = None
