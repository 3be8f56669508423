"""How a serial run ends."""

import os
import signal
from types import SimpleNamespace

import pytest

from mzpipe.launch import serial_run as module
from mzpipe.launch.serial import SerialPipeline
from mzpipe.launch.serial_run import run_serial
from mzpipe.launch.signals import SignalPipe
from mzpipe.replay.journal import has_records
from mzpipe.replay.journal.thread import JournalThread
from mzpipe.runs.checkpoint import CheckpointStore
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.runs.last_moment import read_last_moment
from mzpipe.runtime.attended import AttendedClock
from mzpipe.telemetry.reports import Reached
from tests.launch.fakes import Clock, Screen
from tests.tiny import planned, tiny_profile


@pytest.fixture
def run_to_its_end(tmp_path, shm_path):
    """Runs a profile with these overrides serially; returns its outcome, its directory and its screen."""

    def to_end(*overrides):
        run, live, screen = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path)), Screen()
        run.logs.mkdir(parents=True)
        with SignalPipe() as signals:
            outcome = run_serial(planned(tiny_profile(*overrides)), run, live, screen, signals, Reached(0, 0, None))
        return outcome, run, screen

    return to_end


def test_serial_run_saves_a_checkpoint_and_its_journal_at_its_end(run_to_its_end):
    outcome, run, _ = run_to_its_end("stop.learner_steps=2")
    assert outcome.reason == "stop.learner_steps=2 reached"
    assert CheckpointStore(run.checkpoints).load("latest").state["learner_steps"] == 2
    assert has_records(run.journal)


def test_serial_run_is_stopped_by_ctrl_z_and_its_minutes_do_not_count_that(run_to_its_end, monkeypatch):
    clock, stops, lap = Clock(), [], SerialPipeline.lap

    def stop(number):
        stops.append(number)
        clock.now_s += 3600.0

    def lap_with_ctrl_z(pipeline):
        if not stops:
            os.kill(os.getpid(), signal.SIGTSTP)
        return lap(pipeline)

    monkeypatch.setattr(module, "AttendedClock", lambda: AttendedClock(clock=clock.monotonic))
    monkeypatch.setattr(module, "signal", SimpleNamespace(raise_signal=stop, SIGSTOP=signal.SIGSTOP))
    monkeypatch.setattr(SerialPipeline, "lap", lap_with_ctrl_z)
    outcome, *_ = run_to_its_end("stop.learner_steps=2", "stop.minutes=1.0")
    assert stops == [signal.SIGSTOP]
    assert outcome.reason == "stop.learner_steps=2 reached"


def test_serial_run_stores_every_move_played_when_the_rate_limiter_holds_actors_back(run_to_its_end, shm_path):
    run_to_its_end("stop.learner_steps=2", "topology.trajectory_ring_slots=1", "replay.max_insert_lead=12")
    last = read_last_moment(shm_path)
    assert last.env_steps == last.inserted > 0


def test_serial_run_says_so_when_the_checkpoint_of_its_end_is_refused(run_to_its_end):
    outcome, run, screen = run_to_its_end("stop.learner_steps=1", "learner.learning_rate=1e38")
    assert outcome.exit_code == 70
    assert outcome.reason.startswith("stop.learner_steps=1 reached; no checkpoint is saved: ")
    assert screen.lines[-1].startswith("learner-0: learner step 1: no checkpoint is saved: ")
    assert CheckpointStore(run.checkpoints).step_names() == ["step_00000000"]


def test_serial_run_says_so_when_the_disk_does_not_take_its_journal_in_time(run_to_its_end, monkeypatch):
    threads, close = [], JournalThread.close
    monkeypatch.setattr(JournalThread, "close", lambda thread, timeout_s: threads.append(thread))
    *_, screen = run_to_its_end("stop.learner_steps=2")
    assert all(close(thread, 60.0) for thread in threads)
    assert "the disk has not taken the rest of the journal" in screen.lines[-1]
