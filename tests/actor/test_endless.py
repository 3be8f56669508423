"""Episodes without an end: told once, and only when they are remarkable."""

from types import SimpleNamespace

import pytest

from mzpipe.actor.endless import ENDLESS_MOVES, LONG_MOVES, LONGER, EndlessEpisodes


def watch(now, ended):
    """The notes of a watch over two lanes, the longer of which has these episodes, after many moves."""
    notes = []
    lanes = [
        SimpleNamespace(longest_ended=ended, longest_now=lambda: now),
        SimpleNamespace(longest_ended=0, longest_now=lambda: 1),
    ]
    episodes = EndlessEpisodes(lanes, notes.append)
    for _ in range(10_000):
        episodes.moved()
    return notes


@pytest.mark.parametrize(
    ("now", "ended"), [(ENDLESS_MOVES, 0), (LONG_MOVES, 9), (LONGER * 500, 500)], ids=["none ended", "short", "long"]
)
def test_endless_episodes_are_told_once_when_they_pass_the_bound(now, ended):
    assert watch(now, ended) == []
    (note,) = watch(now + 1, ended)
    assert note.startswith(f"an episode goes on after {now + 1:,} moves ({'the longest' if ended else 'none has'}")
    assert note.endswith("set game.max_episode_moves")
