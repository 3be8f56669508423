"""An episode that seems to have no end: when it is remarkable, and the line that says so."""

# So many moves are remarkable while no episode has ended (one of Atari has at most 27,000)...
ENDLESS_MOVES = 30_000
# ...and so many times as many as the longest that ended, but never fewer than these.
LONGER, LONG_MOVES = 100, 3_000


def endless_note(moves: int, longest_ended: int, *, endless_moves: int = ENDLESS_MOVES) -> str | None:
    """The line about an episode of so many moves; None while it is not remarkable."""
    if moves <= (max(LONG_MOVES, LONGER * longest_ended) if longest_ended else endless_moves):
        return None
    so_far = f"the longest that ended took {longest_ended:,}" if longest_ended else "none has ended yet"
    return (
        f"an episode goes on after {moves:,} moves ({so_far}): if games do not end by themselves, set "
        "game.max_episode_moves"
    )
