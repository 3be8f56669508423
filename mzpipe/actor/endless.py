"""Notes an episode that seems to have no end, and games in which nothing happens."""

from collections.abc import Callable, Sequence
from itertools import cycle

from ..games.endless import endless_note
from .lane_group import LaneGroup

# So many moves are remarkable in which no game has shown another frame, paid a reward or ended.
STILL_MOVES = 5_000
# Moves between two looks: one costs more than counting a move does. A game that goes round between a few frames is not
# seen at the same one every time.
_MOVES_BETWEEN = (499, 503, 509, 521, 523)


class EndlessEpisodes:
    """Looks at an actor's games now and then; says once that an episode is too long, and once that no game changes."""

    def __init__(self, groups: Sequence[LaneGroup], note: Callable[[str], None]) -> None:
        self._groups, self._note = groups, note
        self._moves_between = cycle(_MOVES_BETWEEN)
        self._until_look = next(self._moves_between)
        self._looks = [self._look_for_endless, self._look_for_still]

    def moved(self) -> None:
        """Counts a move of one lane's games; looks at all of them when it is time."""
        self._until_look -= 1
        if self._until_look == 0:
            self._until_look = next(self._moves_between)
            self._looks = [look for look in self._looks if not self._tells(look())]

    def _tells(self, line: str | None) -> bool:
        if line is not None:
            self._note(line)
        return line is not None

    def _look_for_endless(self) -> str | None:
        ended = max(group.longest_ended for group in self._groups)
        now = max(group.longest_now() for group in self._groups)
        return endless_note(now, ended)

    def _look_for_still(self) -> str | None:
        # Every group is asked: each compares with what it showed when it was asked before.
        still = min([group.still_moves() for group in self._groups])
        if still < STILL_MOVES:
            return None
        return (
            f"for {still:,} moves every game has shown one frame, without a reward or an end: if games wait for an "
            "action that is not played, set game.max_episode_moves"
        )
