"""Episodes without an end, and games that only wait: told once, and only when they are remarkable."""

from types import SimpleNamespace

import pytest

from mzpipe.actor import endless
from mzpipe.actor.actor import Actor
from mzpipe.actor.endless import STILL_MOVES, EndlessEpisodes
from mzpipe.games.endless import ENDLESS_MOVES, LONG_MOVES, LONGER
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.ring import RingReader
from mzpipe.ipc.roles import Role
from tests.tiny import ACTOR, make_context, make_plane, publish, random_model, started_server, tiny_profile


def watch(now, ended, still=0):
    """The notes of a watch over two lanes, the longer of which has these episodes, after many moves."""
    notes = []
    lanes = [
        SimpleNamespace(longest_ended=ended, longest_now=lambda: now, still_moves=lambda: still),
        SimpleNamespace(longest_ended=0, longest_now=lambda: 1, still_moves=lambda: still + 1),
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


def test_games_that_stand_still_are_told_once_also_if_they_were_told_to_be_endless():
    assert watch(1, 0, STILL_MOVES - 1) == []
    (note,) = watch(1, 0, STILL_MOVES)
    assert note.startswith(f"for {STILL_MOVES:,} moves every game has shown one frame, without a reward or an end: ")
    assert len(watch(ENDLESS_MOVES + 1, 0, STILL_MOVES)) == 2


@pytest.mark.parametrize("but", ["nothing", "flickers", "rewards", "ends"])
def test_games_stand_still_when_none_shows_another_frame_pays_or_ends(tmp_path, monkeypatch, but):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.setattr(endless, "STILL_MOVES", 50)
    monkeypatch.setattr(endless, "_MOVES_BETWEEN", (7, 11, 13))
    own = ("game.name=tests.games.own_games:Waiting", f"game.gymnasium.arguments={{but='{but}'}}")
    profile, port = tiny_profile(*own), LocalPort()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, actor = started_server(profile, plane), Actor(make_context(profile, plane, Role.ACTOR, port=port))
    actor.on_start()
    reader = RingReader(plane.trajectory_ring(0))
    while plane.counters(ACTOR).get("env_steps") < 6 * 100:
        actor.do_work()
        server.do_work()
        if reader.peek() is not None:
            reader.release()
    assert ["every game has shown one frame" in each.text for each in port.to_supervisor] == [True] * (but == "nothing")
