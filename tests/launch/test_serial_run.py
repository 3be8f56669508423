"""What a serial run does at its borders."""

import os

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.launch.run_directory import LiveRun, RunDirectory
from mzpipe.launch.serial_run import run_serial
from mzpipe.launch.signals import SignalPipe
from mzpipe.launch.snapshots import Progress
from mzpipe.replay.server import ReplayServer
from tests.launch.fakes import Screen
from tests.tiny import planned, tiny_profile


def test_no_border_is_kept_of_a_journal_that_the_disk_has_not_taken(tmp_path, shm_path, monkeypatch):
    monkeypatch.setattr(ReplayServer, "close_journal", lambda server, timeout_s: False)
    run, live = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path))
    run.logs.mkdir(parents=True)
    plan, progress = planned(tiny_profile("stop.learner_steps=2")), Progress(0, 0, None)
    with (
        SignalPipe() as signals,
        pytest.raises(InputOutputError, match="journal: the disk has not taken it within 60 s"),
    ):
        run_serial(plan, run, live, Screen(), signals, progress)
    assert not run.border.exists()
