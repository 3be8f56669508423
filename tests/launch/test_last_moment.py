"""What a killed session has left in /dev/shm is read before it is swept."""

import dataclasses
import json

import pytest

from mzpipe.ipc.dataplane import SHAPE_FILE
from mzpipe.ipc.shape import Member
from mzpipe.launch.train import read_last_moment
from mzpipe.runs.directory import LiveRun
from tests.tiny import make_plane, tiny_profile


@pytest.fixture
def killed(tmp_path):
    """The runtime directory of a session that was killed after 90 moves, 70 of them inserted."""
    plane = make_plane(tmp_path, tiny_profile("topology.actors=2"))
    plane.counters(Member("actor", 0)).set("env_steps", 50)
    plane.counters(Member("actor", 1)).set("env_steps", 40)
    plane.counters(Member("replay", 0)).set("inserted", 70)
    return LiveRun(pid=1, run_id="x", runtime_directory=str(tmp_path))


def test_last_moment_has_the_counts_of_the_kill(killed):
    last = read_last_moment(killed)
    assert last == (90, 70)
    assert last.in_flight == 20


def test_last_moment_is_unknown_when_nothing_was_killed_or_nothing_is_left(killed, tmp_path):
    assert read_last_moment(None) is None
    assert read_last_moment(dataclasses.replace(killed, runtime_directory=str(tmp_path / "gone"))) is None


def test_last_moment_is_unknown_when_another_version_left_it(killed, tmp_path):
    shape = json.loads((tmp_path / SHAPE_FILE).read_text())
    del shape["reanalyzers"]
    (tmp_path / SHAPE_FILE).write_text(json.dumps(shape))
    assert read_last_moment(killed) is None
