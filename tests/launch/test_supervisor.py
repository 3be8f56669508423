"""How the supervisor takes messages that come late."""

import os
from contextlib import ExitStack, contextmanager

import pytest

from mzpipe.errors import ExitCode
from mzpipe.ipc.messages import CheckpointSaved, Failed, Ready, SaveCheckpoint
from mzpipe.ipc.roles import Role
from mzpipe.launch.roles import LAST_STAGE, STOP_STAGES
from mzpipe.launch.roster import State
from mzpipe.launch.signals import Outcome, SignalPipe
from mzpipe.launch.supervisor import Supervisor
from mzpipe.runs.directory import LiveRun, RunDirectory
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


def test_a_checkpoint_at_its_interval_does_not_hide_the_one_that_was_asked_for(supervisor):
    for request_id in (1, 0):
        supervisor._handle("learner-0", CheckpointSaved(request_id=request_id, learner_steps=9))
    assert supervisor._saved_request == 1


@pytest.mark.parametrize("code", [70, 75])
def test_rank_whose_device_is_full_ends_the_run_and_one_that_fails_otherwise_is_started_again(
    make_supervisor, monkeypatch, code
):
    supervisor = make_supervisor(tiny_profile("learner.devices=['cpu','cpu']"))
    rank = supervisor._roster["learner-1"]

    def reap(entry):
        entry.state = State.DEAD
        return code

    rank.state, rank.failed = State.READY, Failed(code, "DeviceError: CUDA out of memory: lower learner.batch_size", "")
    monkeypatch.setattr(supervisor._roster, "reap", reap)
    supervisor._bury(rank)
    if code == 70:
        assert supervisor._outcome is None and rank.state is State.DEAD
    else:
        assert supervisor._outcome.exit_code == 75
        assert supervisor._outcome.reason.endswith("lower learner.batch_size")


def test_lanes_of_a_process_that_died_hold_no_weights(supervisor):
    plane, actor, evaluator = supervisor._plane, supervisor._roster["actor-0"], supervisor._roster["evaluator-0"]
    for entry in (actor, evaluator):
        plane.lane_clients(entry.member)  # attaches
    attached_L = plane.lane_server(0).block["attached"]
    assert attached_L.all()
    supervisor._bury(actor)
    _, lanes = plane.shape.lanes_of(actor.member)
    assert not attached_L[lanes].any() and attached_L.sum() == len(attached_L) - len(lanes)


def test_stop_asks_for_a_checkpoint_after_the_sources_and_before_the_rest(supervisor, monkeypatch):
    """The learner answers the request while its stage is not yet reached."""
    happened, learner = [], supervisor._roster["learner-0"]
    learner.state = State.READY

    def send(identity, message):
        happened.append((identity, message))
        supervisor._handle(identity, CheckpointSaved(request_id=message.request_id, learner_steps=9))
        return True

    monkeypatch.setattr(supervisor._stop_word, "raise_to", happened.append)
    monkeypatch.setattr(supervisor._socket, "send", send)
    supervisor._stop(Outcome(ExitCode.FINISHED, "asked to"))
    first, last = STOP_STAGES[Role.ACTOR], LAST_STAGE
    assert happened == [first, ("learner-0", SaveCheckpoint(request_id=1)), last]
    assert first < STOP_STAGES[Role.LEARNER] <= last
