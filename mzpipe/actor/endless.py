"""Notes an episode that seems to have no end."""

from collections.abc import Callable, Sequence

from .lane_group import LaneGroup

# So many moves are remarkable while no episode has ended (one of Atari has at most 27,000)...
ENDLESS_MOVES = 30_000
# ...and so many times as many as the longest that ended, but never fewer than these.
LONGER, LONG_MOVES = 100, 3_000
# Moves between two looks: one costs more than counting a move does.
_MOVES_BETWEEN = 500


class EndlessEpisodes:
    """Looks at an actor's games now and then; says once that an episode lasts suspiciously long."""

    def __init__(self, groups: Sequence[LaneGroup], note: Callable[[str], None]) -> None:
        self._groups, self._note = groups, note
        self._until_look, self._is_told = _MOVES_BETWEEN, False

    def moved(self) -> None:
        """Counts a move of one lane's games; looks at all of them when it is time."""
        self._until_look -= 1
        if self._until_look or self._is_told:
            return
        self._until_look = _MOVES_BETWEEN
        ended = max(group.longest_ended for group in self._groups)
        now = max(group.longest_now() for group in self._groups)
        if now > (max(LONG_MOVES, LONGER * ended) if ended else ENDLESS_MOVES):
            self._is_told = True
            so_far = f"the longest that ended took {ended:,}" if ended else "none has ended yet"
            self._note(
                f"an episode goes on after {now:,} moves ({so_far}): if games do not end by themselves, set "
                "game.max_episode_moves"
            )
