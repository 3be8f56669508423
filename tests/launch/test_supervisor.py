"""How the supervisor takes messages that come late."""

import os
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from mzpipe.ipc.messages import CheckpointSaved, Failed, Ready
from mzpipe.launch.roster import RESTART_BUDGET, State
from mzpipe.launch.signals import SignalPipe
from mzpipe.launch.supervisor import Supervisor
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.runtime.process import Child
from mzpipe.telemetry.reports import Reached
from tests.launch.fakes import Screen
from tests.tiny import planned, tiny_profile


@pytest.fixture
def make_supervisor(tmp_path, shm_path):
    """Makes the supervisor of a run whose processes have not been started."""
    with ExitStack() as stack:
        yield lambda profile: stack.enter_context(_supervising(profile, tmp_path, shm_path))


@pytest.fixture
def supervisor(profile, make_supervisor):
    return make_supervisor(profile)


@contextmanager
def _supervising(profile, tmp_path, shm_path):
    run, live = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path))
    with SignalPipe() as signals:
        supervisor = Supervisor(planned(profile), run, live, Screen(), signals, Reached(0, 0, None))
        yield supervisor
        supervisor._socket.close()
        supervisor._reports.close()
        os.close(supervisor._death_pipe)


def test_a_process_that_died_right_after_it_was_ready_is_still_started_again(supervisor):
    actor = supervisor._roster["actor-0"]
    actor.state = State.STARTED
    supervisor._handle("actor-0", Ready(seconds=1.0))
    assert actor.state is State.READY
    supervisor._roster.reap(actor)
    supervisor._handle("actor-0", Ready(seconds=1.0))  # the same message, had it come a moment later
    assert supervisor._roster.due_restarts() == [actor]


def test_supervisor_that_fails_itself_kills_its_processes_without_a_word(profile, tmp_path, shm_path, monkeypatch):
    run, live, screen = RunDirectory(tmp_path / "run"), LiveRun(os.getpid(), "x", str(shm_path)), Screen()
    with SignalPipe() as signals:
        supervisor = Supervisor(planned(profile), run, live, screen, signals, Reached(0, 0, None))
        process = subprocess.Popen(["sleep", "1000"])
        actor = supervisor._roster["actor-0"]
        actor.child, actor.state = Child(process, os.pidfd_open(process.pid)), State.READY
        monkeypatch.setattr(supervisor, "_start_all", lambda: None)
        monkeypatch.setattr(supervisor._reports, "tick", lambda note: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            supervisor.run()
    assert process.wait() == -9
    assert screen.lines == []


def test_a_checkpoint_at_its_interval_does_not_hide_the_one_that_was_asked_for(supervisor):
    for request_id in (1, 0):
        supervisor._handle("learner-0", CheckpointSaved(request_id=request_id, learner_steps=9))
    assert supervisor._saved_request == 1


def bury(supervisor, monkeypatch, identity, code, failed=None):
    """Buries a process that was ready and ended with `code`."""
    entry = supervisor._roster[identity]

    def reap(entry):
        entry.state = State.DEAD
        return code

    entry.state, entry.failed = State.READY, failed
    monkeypatch.setattr(supervisor._roster, "reap", reap)
    supervisor._bury(entry)
    return entry


@pytest.mark.parametrize(
    ("identity", "code", "outlives"),
    [
        ("inference-0", -9, True),
        ("inference-0", 70, True),
        ("inference-0", 75, False),
        ("actor-0", 70, True),
        ("learner-0", -9, True),
        ("learner-0", 70, False),
        ("replay-0", -9, True),
    ],
)
def test_run_outlives_a_process_that_was_killed_or_may_do_better_next_time(
    supervisor, monkeypatch, identity, code, outlives
):
    entry = bury(supervisor, monkeypatch, identity, code, Failed(max(code, 0), "Error: why", "") if code > 0 else None)
    if outlives:
        assert supervisor._outcome is None
        assert entry.restart_at_s > 0 and entry.state is State.DEAD
    else:
        assert supervisor._outcome.exit_code == code
        assert supervisor._outcome.reason == f"{identity} ended with exit code {code}: Error: why"


def test_run_does_not_outlive_a_replay_server_without_a_journal(make_supervisor, monkeypatch):
    supervisor = make_supervisor(tiny_profile("replay.journal=false"))
    bury(supervisor, monkeypatch, "replay-0", -9)
    assert supervisor._outcome.exit_code == 70


def test_run_ends_when_a_server_died_more_often_than_its_budget_allows(supervisor, monkeypatch):
    for _ in range(RESTART_BUDGET):
        bury(supervisor, monkeypatch, "inference-0", -9)
        assert supervisor._outcome is None
    bury(supervisor, monkeypatch, "inference-0", -9)
    assert supervisor._outcome.exit_code == 70
    assert "inference-0 was killed by SIGKILL once too often" in supervisor._outcome.reason


@pytest.mark.parametrize(("code", "words"), [(-9, "made no progress and was killed"), (74, "ended with exit code 74")])
def test_supervisor_names_silence_as_the_cause_only_of_the_kill_that_it_led_to(supervisor, monkeypatch, code, words):
    supervisor._roster["actor-0"].silence = "made no progress and was killed"
    bury(supervisor, monkeypatch, "actor-0", code)
    assert supervisor._view.lines[-1] == f"actor-0 {words}: it is started again"


@pytest.mark.parametrize("code", [70, 75])
def test_rank_whose_device_is_full_ends_the_run_and_one_that_fails_otherwise_is_started_again(
    make_supervisor, monkeypatch, code
):
    supervisor = make_supervisor(tiny_profile("learner.devices=['cpu','cpu']"))
    failed = Failed(code, "DeviceError: CUDA out of memory: lower learner.batch_size", "")
    rank = bury(supervisor, monkeypatch, "learner-1", code, failed)
    if code == 70:
        assert supervisor._outcome is None and rank.state is State.DEAD
    else:
        assert supervisor._outcome.exit_code == 75
        assert supervisor._outcome.reason.endswith("lower learner.batch_size")
