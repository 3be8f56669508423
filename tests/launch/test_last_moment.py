"""What a killed session has left in /dev/shm is read before it is swept."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from mzpipe.ipc.dataplane import SHAPE_FILE
from mzpipe.ipc.shape import Member
from mzpipe.launch.last_moment import counted_session, recall_last_moment
from mzpipe.runs.directory import LiveRun, RunDirectory, sweep_leftovers
from mzpipe.runs.last_moment import LastMoment, last_moment_of, read_last_moment
from mzpipe.telemetry.reports import Reached, Reports
from tests.launch.fakes import Screen
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
    assert read_last_moment(Path(killed.runtime_directory)) == LastMoment(
        env_steps=90, inserted=70, learner_steps=0, in_flight=20
    )


def test_last_moment_is_unknown_when_nothing_is_left(killed, tmp_path):
    assert read_last_moment(tmp_path / "gone") is None


def test_last_moment_is_unknown_when_another_version_left_it(killed, tmp_path):
    shape = json.loads((tmp_path / SHAPE_FILE).read_text())
    del shape["reanalyzers"]
    (tmp_path / SHAPE_FILE).write_text(json.dumps(shape))
    assert read_last_moment(tmp_path) is None


FIELDS = ("env_steps", "inserted", "former_env_steps", "former_inserted", "refused")
SESSIONS = {
    "the first": ((90, 70, 0, 0, 0), 20),
    "a later one counts only its own": ((5090, 4070, 5000, 4000, 0), 20),
    "killed before the table was filled again": ((5000, 4000, 5000, 4000, 0), 0),
    "killed before, with moves played": ((5030, 4000, 5000, 4000, 0), 30),
    "killed between the two counts": ((5030, 3900, 5000, 0, 0), 0),
    "refused ones have arrived": ((90, 60, 0, 0, 25), 5),
}


@pytest.mark.parametrize(("counts", "in_flight"), SESSIONS.values(), ids=SESSIONS)
def test_last_moment_counts_what_was_on_its_way_in_its_own_session(tmp_path, counts, in_flight):
    plane = make_plane(tmp_path, tiny_profile())
    for name, value in zip(FIELDS, counts, strict=True):
        plane.counters(Member("actor" if name == "env_steps" else "replay", 0)).set(name, value)
    assert read_last_moment(tmp_path).in_flight == in_flight


def session(locked, profile, reached, *, played=0, taken_in=0):
    """A session of so many moves."""
    with counted_session(locked) as live:
        plane = make_plane(Path(live.runtime_directory), profile)
        Reports(profile, plane, locked.directory, Screen(), reached).close()
        plane.counters(Member("actor", 0)).add("env_steps", played)
        plane.counters(Member("replay", 0)).add("inserted", taken_in)


def test_counts_of_an_ended_session_stay_until_another_one_has_counted(tmp_path):
    run, profile = RunDirectory(tmp_path / "run"), tiny_profile()
    with run.locked() as locked:
        assert recall_last_moment(locked) is None
        session(locked, profile, Reached(0, 0, None), played=100, taken_in=80)
    with run.locked() as locked:
        assert recall_last_moment(locked) == LastMoment(100, 80, 0, in_flight=20)
        locked.remember(LastMoment(100, 80, 0, in_flight=0))  # told
        with counted_session(locked):
            pass  # ended before it had a data plane
    with run.locked() as locked:
        assert recall_last_moment(locked) == LastMoment(100, 80, 0, in_flight=0)
        session(locked, profile, Reached(100, 0, None, 80), played=50, taken_in=43)
    with run.locked() as locked:
        assert recall_last_moment(locked) == LastMoment(150, 123, 0, in_flight=7)


@pytest.mark.parametrize("has_plane", [False, True])
def test_counts_of_a_killed_session_outlive_a_start_that_is_killed_before_it_counts(tmp_path, killed, has_plane):
    run, early = RunDirectory(tmp_path / "run"), tmp_path / "early"
    early.mkdir()
    if has_plane:
        make_plane(early, tiny_profile())
    with run.locked() as locked:
        locked.former = killed
        recall_last_moment(locked)
        locked.remember(locked.last._replace(in_flight=0))  # told
    with run.locked() as locked:
        locked.former = LiveRun(pid=1, run_id="y", runtime_directory=str(early))
        assert recall_last_moment(locked) == LastMoment(90, 70, 0, in_flight=0)


def test_counts_are_unknown_when_those_of_a_killed_session_were_swept(tmp_path, killed):
    run = RunDirectory(tmp_path / "run")
    with run.locked() as locked:
        locked.remember(LastMoment(90, 70, 0, 0))
        locked.former = dataclasses.replace(killed, runtime_directory=str(tmp_path / "gone"))
        assert recall_last_moment(locked) is None


def test_counts_of_a_killed_session_outlive_a_start_that_is_given_up(tmp_path, killed, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    with run.locked() as locked:
        locked.former = killed
        assert recall_last_moment(locked) == LastMoment(90, 70, 0, 20)
    with run.locked() as locked:
        assert locked.former is None and recall_last_moment(locked) == LastMoment(90, 70, 0, 20)


@pytest.fixture
def shared_memory(tmp_path, monkeypatch):
    """Stands for /dev/shm."""
    path = tmp_path / "shm"
    path.mkdir()
    monkeypatch.setattr("mzpipe.runs.directory.SHARED_MEMORY", path)
    return path


@pytest.fixture
def swept(tmp_path, shared_memory):
    """A run whose second session was killed after 150 moves, 123 of them inserted; nothing is swept yet."""
    run, profile = RunDirectory(tmp_path / "run"), tiny_profile()
    with run.locked() as locked:
        session(locked, profile, Reached(0, 0, None), played=100, taken_in=80)
    with run.locked() as locked, contextlib.ExitStack() as kept:
        live = kept.enter_context(locked.runtime())
        plane = make_plane(Path(live.runtime_directory), profile)
        plane.counters(Member("replay", 0)).set("former_env_steps", 100)
        plane.counters(Member("replay", 0)).set("former_inserted", 80)
        plane.counters(Member("actor", 0)).set("env_steps", 150)
        plane.counters(Member("replay", 0)).set("inserted", 123)
        contents = run.path.joinpath("run.lock").read_bytes()
        shutil.copytree(live.runtime_directory, tmp_path / "kept")
    shutil.copytree(tmp_path / "kept", live.runtime_directory)
    run.path.joinpath("run.lock").write_bytes(contents)
    return run


def test_counts_of_a_killed_session_outlive_a_sweep_by_another_process(swept, shared_memory):
    assert len(sweep_leftovers()) == 1
    assert not list(shared_memory.iterdir())
    with swept.locked() as locked:
        assert recall_last_moment(locked) == LastMoment(150, 123, 0, in_flight=7)


def test_what_a_start_is_about_to_read_is_not_swept(swept, shared_memory):
    with swept.locked() as locked:
        assert sweep_leftovers() == []
        assert recall_last_moment(locked) == LastMoment(150, 123, 0, in_flight=7)
    assert len(sweep_leftovers()) == 1


def test_start_sweeps_what_its_own_former_session_has_left(swept, shared_memory):
    with swept.locked() as locked:
        last = recall_last_moment(locked)
        assert len(sweep_leftovers(swept.path)) == 1
        assert locked.last == last == LastMoment(150, 123, 0, in_flight=7)


def test_leftover_of_a_session_before_the_live_one_is_swept(swept, shared_memory):
    (leftover,) = shared_memory.iterdir()
    with swept.locked() as locked, locked.runtime() as live:
        assert sweep_leftovers() == [leftover]
        assert [str(path) for path in shared_memory.iterdir()] == [live.runtime_directory]


def test_sweep_refuses_no_start(swept, shared_memory, monkeypatch):
    """Counting takes a while: a start of the run meanwhile is not told that it is running, and keeps the counts."""
    kept = []

    def count(runtime, before):
        with swept.locked() as locked:
            kept.append(recall_last_moment(locked))
        return last_moment_of(runtime, before)

    monkeypatch.setattr("mzpipe.runs.directory.last_moment_of", count)
    assert len(sweep_leftovers()) == 1
    with swept.locked() as locked:
        assert recall_last_moment(locked) == kept[0] == LastMoment(150, 123, 0, in_flight=7)


def test_run_that_was_started_through_a_link_is_found_under_its_own_name(swept, shared_memory, tmp_path):
    (tmp_path / "link").symlink_to(swept.path)
    with RunDirectory(tmp_path / "link").locked() as locked, locked.runtime() as live:
        assert (Path(live.runtime_directory) / "run").read_text() == str(swept.path.resolve())


@pytest.mark.parametrize("contents", [b"", b"\0", b"relative", b"/nowhere", b"\xff" * 5000])
def test_leftover_that_names_no_run_is_swept(swept, shared_memory, contents):
    (path,) = shared_memory.iterdir()
    (path / "run").write_bytes(contents)
    assert sweep_leftovers() == [path]


def test_sweep_changes_nothing_of_a_run_that_has_gone_on(swept, shared_memory):
    """The leftover is of a session before the last."""
    with swept.locked() as locked:
        locked.remember(LastMoment(500, 400, 0, 0))
    assert len(sweep_leftovers()) == 1
    with swept.locked() as locked:
        assert recall_last_moment(locked) == LastMoment(500, 400, 0, 0)
