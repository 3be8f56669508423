"""An onlooker attaches to a run, reads, and says what it cannot see."""

import os
from pathlib import Path

import pytest

from mzpipe.errors import UsageError
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.measure.top import Onlooker
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runs.scores import Evaluation, ScoresFile
from tests.tiny import make_plane, tiny_profile

ACTOR = Member("actor", 0)


@pytest.fixture
def run(tmp_path, shared_memory):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    save_profile(tiny_profile(), run.profile)
    return run


def play(plane, moves):
    clock = plane.stage_clock(ACTOR)
    clock.start()
    clock.end(Stage.ENV_STEP, moves)
    clock.lap(1)
    plane.counters(ACTOR).add("env_steps", moves)


def test_a_live_run_is_seen_from_its_second_look_on(run):
    with run.locked() as locked, locked.runtime() as live:
        plane = make_plane(Path(live.runtime_directory), tiny_profile())
        plane.counters(ACTOR).set("pid", os.getpid())
        play(plane, 30)
        ScoresFile(run.scores).append(Evaluation(1, 10, 300, 21.5, 0.0, 2))
        onlooker = Onlooker(run)
        assert onlooker.look() is None
        play(plane, 12)
        look = onlooker.look()
        assert look.is_live
        assert look.snapshot.env_steps == 42
        assert look.snapshot.evaluation.return_mean == 21.5
        assert look.report.env_steps_per_s == pytest.approx(12 / look.report.seconds)
        assert look.private_bytes["actor-0"] > 1 << 20
        assert set(look.private_bytes) == {"actor-0"}
        assert look.shared_bytes == sum(plane.shape.segment_bytes().values())


def test_a_process_that_does_not_work_is_the_verdict(run):
    with run.locked() as locked, locked.runtime() as live:
        plane = make_plane(Path(live.runtime_directory), tiny_profile())
        members = [member for member in plane.shape.members() if member.role != "inference"]
        for member in members:
            plane.counters(member).set("pid", os.getpid())
        onlooker = Onlooker(run)
        onlooker.look()
        play(plane, 12)
        assert onlooker.look().report.verdict.sentence == "inference-0: is starting"
        plane.counters(Member("inference", 0)).set("pid", os.getpid())
        onlooker.look()
        assert "-bound: " in onlooker.look().report.verdict.sentence


def test_a_look_changes_nothing_in_shared_memory(run):
    with run.locked() as locked, locked.runtime() as live:
        directory = Path(live.runtime_directory)
        play(make_plane(directory, tiny_profile()), 5)
        before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
        onlooker = Onlooker(run)
        onlooker.look()
        onlooker.look()
        assert {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


def test_a_dead_run_is_seen_as_it_stood(run, monkeypatch):
    with run.locked() as locked, locked.runtime() as live:
        plane = make_plane(Path(live.runtime_directory), tiny_profile())
        play(plane, 30)
        plane.counters(ACTOR).add("episodes", 2)
        plane.counters(ACTOR).add("episode_return", 42.0)
        plane.counters(Member("inference", 0)).add("batches", 10)
        plane.counters(Member("inference", 0)).add("batch_rows", 60)
        onlooker = Onlooker(run)
        monkeypatch.setattr(RunDirectory, "is_held", lambda self: False)
        look = onlooker.look()
        assert not look.is_live
        assert look.snapshot.note == "dead"
        assert look.snapshot.env_steps == 30
        assert look.report.stages["env step"].items_per_s > 0.0
        assert look.snapshot["perf/inference_batch_mean"] == 6.0
        assert look.snapshot["charts/episodic_return"] == 21.0
        assert look.private_bytes == {}


def test_there_must_be_something_to_look_at(run, tmp_path):
    with pytest.raises(UsageError, match=r"nothing: no run here \(no profile.toml\)"):
        Onlooker(RunDirectory(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="no live run here; start it with: mzpipe train"):
        Onlooker(run)
    with run.locked() as locked, locked.runtime(), pytest.raises(UsageError, match="is starting: look again once"):
        Onlooker(run)


def test_a_last_moment_that_was_swept_is_gone(run, monkeypatch):
    monkeypatch.setattr(RunDirectory, "is_held", lambda self: False)
    with run.locked() as locked, locked.runtime(), pytest.raises(UsageError, match=r"state is gone: .* was removed"):
        Onlooker(run)


def test_the_next_session_of_a_run_is_not_the_one_that_is_looked_at(run):
    with run.locked() as locked:
        with locked.runtime() as live:
            make_plane(Path(live.runtime_directory), tiny_profile())
            onlooker = Onlooker(run)
        with locked.runtime():
            assert not onlooker.look().is_live


def test_a_session_that_has_ended_since_the_attachment_is_still_shown(run):
    with run.locked() as locked, locked.runtime() as live:
        plane: DataPlane = make_plane(Path(live.runtime_directory), tiny_profile())
        play(plane, 30)
        onlooker = Onlooker(run)
    look = onlooker.look()
    assert not look.is_live
    assert look.snapshot.env_steps == 30
