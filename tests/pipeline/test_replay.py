"""The replay server and the reanalyzers of real runs: kill, resume, offline."""

import contextlib
import os
import re
import signal

import pytest

from mzpipe.replay.dataset import read_dataset
from mzpipe.runs.directory import RunDirectory
from tests.pipeline.driver import START_S, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
REANALYZE = ("reanalyze.fraction=0.5", "topology.trees_per_reanalyzer_lane=4")


def number(text, pattern):
    found = re.search(pattern, text)
    assert found, f"{pattern!r} in {text}"
    return int(found[1].replace(",", ""))


def check_run_goes_on_when_a_reanalyzer_is_killed(run, pids):
    for _ in range(2):
        pid = run.roles()["reanalyzer-0"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: run.roles().get("reanalyzer-0", pid) != pid, START_S, "its successor")
        steps = run.learner_steps()
        wait_until(lambda steps=steps: run.learner_steps() > steps + 200, START_S, "learner steps after the kill")
    assert run.roles()["replay-0"] == pids["replay-0"]
    assert run.output.count("was killed by SIGKILL: it is started again") == 2


def kill_everything(run):
    for pid in [run.process.pid, *run.roles().values()]:
        with contextlib.suppress(ProcessLookupError):  # gone with the supervisor
            os.kill(pid, signal.SIGKILL)
    run.process.wait(START_S)


def check_restored_lost_and_on_their_way_add_up(text):
    env_steps = number(text, r"resuming at env step ([\d,]+)")
    in_flight = number(text, r"killed with ([\d,]+) transitions on their way")
    inserted = number(text, r"of ([\d,]+) inserted so far")
    lost = number(text, r"so far; ([\d,]+) lost in a kill")
    assert inserted + lost + in_flight == env_steps
    assert 0 <= lost <= 4096 * 8
    assert inserted > 0


def test_killed_reanalyzers_stop_no_run_and_a_kill_of_everything_loses_the_window_and_counts_it(start):
    """One run for both; every move played before the kill is restored, lost by the journal, or was on its way."""
    run = start(*REANALYZE, name="killed")
    check_run_goes_on_when_a_reanalyzer_is_killed(run, run.wait_for_processes(6))
    kill_everything(run)
    again = start(*REANALYZE, name="killed")
    again.wait_for_line("restored .* lost in a kill")
    check_restored_lost_and_on_their_way_add_up(again.output)
    again.process.send_signal(signal.SIGINT)
    assert again.wait() == 130


def check_every_move_is_stored(run):
    """Also those of actors that the rate limiter held back when the run stopped."""
    with run.locked() as locked:
        assert locked.last.env_steps == locked.last.inserted > 0


def test_a_finished_run_is_exported_and_trained_on_without_actors(start, tmp_path):
    run = start("stop.learner_steps=300", "topology.trajectory_ring_slots=2", name="played")
    assert run.wait() == 0, run.output
    check_every_move_is_stored(RunDirectory(run.directory))
    exported = mzpipe("export", run.directory, "--out", tmp_path / "dataset")
    assert exported.returncode == 0, exported.stderr
    transitions = number(exported.stdout, r"^([\d,]+) transitions of")
    assert sum(len(part["actions"]) for part in read_dataset(tmp_path / "dataset")) == transitions
    offline = start(f"replay.from={run.directory}", "reanalyze.fraction=1.0", "stop.learner_steps=200", name="offline")
    assert offline.wait() == 0, offline.output
    assert "actor-0" not in offline.output
    assert number(offline.output, r"restored ([\d,]+) transitions") == transitions
    assert not (offline.directory / "journal").exists()
    refused = mzpipe("export", tmp_path / "nothing")
    assert (refused.returncode, "no run here" in refused.stderr) == (2, True)
