"""Episodes without an end: when they are remarkable."""

import pytest

from mzpipe.games.endless import ENDLESS_MOVES, LONG_MOVES, LONGER, endless_note


@pytest.mark.parametrize(
    ("moves", "ended"), [(ENDLESS_MOVES, 0), (LONG_MOVES, 9), (LONGER * 500, 500)], ids=["none ended", "short", "long"]
)
def test_endless_note_says_so_when_an_episode_passes_the_bound(moves, ended):
    assert endless_note(moves, ended) is None
    note = endless_note(moves + 1, ended)
    assert note.startswith(f"an episode goes on after {moves + 1:,} moves ({'the longest' if ended else 'none has'}")
    assert note.endswith("set game.max_episode_moves")
