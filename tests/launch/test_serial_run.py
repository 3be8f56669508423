"""What a serial run does at its borders."""

import os

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.launch.serial_run import run_serial
from mzpipe.launch.signals import SignalPipe
from mzpipe.replay.server import ReplayServer
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.telemetry.reports import Reached
from tests.launch.fakes import Screen
from tests.tiny import planned, tiny_profile


@pytest.fixture
def run_to_its_end(tmp_path, shm_path):
    """Runs a profile with these overrides serially; its outcome, its directory and its screen."""

    def to_end(*overrides):
        run, live, screen = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path)), Screen()
        run.logs.mkdir(parents=True)
        with SignalPipe() as signals:
            outcome = run_serial(planned(tiny_profile(*overrides)), run, live, screen, signals, Reached(0, 0, None))
        return outcome, run, screen

    return to_end


def test_no_border_is_kept_where_the_checkpoint_of_the_end_is_refused(run_to_its_end):
    outcome, run, screen = run_to_its_end("stop.learner_steps=1", "learner.learning_rate=1e38")
    assert outcome.reason == "stop.learner_steps=1 reached"
    assert screen.lines[-1].startswith("learner-0: learner step 1: no checkpoint is saved: ")
    assert not run.border.exists()


def test_no_border_is_kept_of_a_journal_that_the_disk_has_not_taken(tmp_path, shm_path, monkeypatch):
    monkeypatch.setattr(ReplayServer, "close_journal", lambda server, timeout_s: False)
    run, live = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path))
    run.logs.mkdir(parents=True)
    plan, progress = planned(tiny_profile("stop.learner_steps=2")), Reached(0, 0, None)
    with (
        SignalPipe() as signals,
        pytest.raises(InputOutputError, match="journal: the disk has not taken it within 60 s"),
    ):
        run_serial(plan, run, live, Screen(), signals, progress)
    assert not run.border.exists()
