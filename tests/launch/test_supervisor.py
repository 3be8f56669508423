"""How the supervisor takes messages that come late."""

import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from mzpipe.errors import ExitCode, GameError
from mzpipe.ipc.messages import CheckpointSaved, Failed, NotSaved, Ready, SaveCheckpoint
from mzpipe.ipc.roles import Role
from mzpipe.launch import ending
from mzpipe.launch import supervisor as module
from mzpipe.launch.roles import LAST_STAGE, STOP_STAGES
from mzpipe.launch.roster import RESTART_BUDGET, State
from mzpipe.launch.signals import Outcome, SignalPipe
from mzpipe.launch.supervisor import Supervisor
from mzpipe.runs.checkpoint import Checkpoint, CheckpointStore
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.runtime.attended import AttendedClock
from mzpipe.runtime.process import Child
from mzpipe.telemetry.reports import Reached
from tests.launch.fakes import Clock, Screen
from tests.tiny import planned, tiny_profile
from tests.waiting import wait_until


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


@pytest.fixture
def clock(monkeypatch):
    """The clock of every supervisor that is made from here on."""
    clock = Clock()
    monkeypatch.setattr(module, "AttendedClock", lambda most_s: AttendedClock(most_s, clock.monotonic))
    return clock


def test_minutes_of_a_run_count_neither_a_pause_nor_an_absence_of_the_supervisor(clock, make_supervisor, monkeypatch):
    supervisor = make_supervisor(tiny_profile("stop.minutes=1.0"))

    def pass_time(*seconds):
        for each in seconds:
            clock.now_s += each
            supervisor._report()

    monkeypatch.setattr(module, "pause_run", lambda roster: setattr(clock, "now_s", clock.now_s + 3600.0))
    supervisor._pause()
    pass_time(3600.0, *[0.9] * 60)
    assert supervisor._outcome is None
    pass_time(*[0.9] * 10)
    assert supervisor._outcome.reason == "stop.minutes=1 reached"


def test_stop_does_not_give_up_a_process_that_ended_while_the_supervisor_was_away(clock, make_supervisor, profile):
    supervisor = make_supervisor(profile)
    process = subprocess.Popen(["true"])
    actor = supervisor._roster["actor-0"]
    actor.child, actor.state, supervisor._stopping = Child(process, os.pidfd_open(process.pid)), State.READY, True
    deadline_s = supervisor._clock.now_s() + 2.0
    clock.now_s += 3600.0
    supervisor._wait_for_end(deadline_s)
    assert supervisor._roster.alive() == []


def test_a_checkpoint_at_its_interval_does_not_hide_the_one_that_was_asked_for(supervisor):
    for request_id in (1, 0):
        supervisor._handle("learner-0", CheckpointSaved(request_id=request_id, learner_steps=9))
    assert supervisor._saved_request == 1


@pytest.mark.parametrize(("program", "waits"), [(["false"], [50]), (["sh", "-c", "kill -9 $$"], [])])
def test_supervisor_waits_for_the_last_words_of_a_process_unless_it_was_killed(supervisor, monkeypatch, program, waits):
    process, entry, waited = subprocess.Popen(program), supervisor._roster["actor-0"], []
    entry.child = Child(process, os.pidfd_open(process.pid))
    select.select([entry.pidfd], [], [])
    with monkeypatch.context() as patched:
        silent = SimpleNamespace(receive=list, socket=SimpleNamespace(poll=lambda ms: waited.append(ms)))
        patched.setattr(supervisor, "_socket", silent)
        supervisor._hear_last_words(entry)
    assert waited == waits
    assert supervisor._roster.reap(entry) != 0


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
    entry = bury(
        supervisor,
        monkeypatch,
        identity,
        code,
        Failed(code, "Error: why", "", is_known=code == 75) if code > 0 else None,
    )
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


@pytest.mark.parametrize("arrives", [True, False], ids=["message", "error log"])
def test_known_error_of_an_actor_is_told_at_each_start_and_is_one_line_at_the_end(supervisor, monkeypatch, arrives):
    error = GameError("CartPole-v1: step() returned the reward nan")
    member = supervisor._roster["actor-0"].member
    supervisor._plane.errors(member).record(error)
    failed = Failed(2, f"GameError: {error}", "Traceback", is_known=True) if arrives else None
    for _ in range(RESTART_BUDGET):
        bury(supervisor, monkeypatch, "actor-0", 2, failed)
        assert supervisor._view.lines[-1] == f"actor-0 ended with exit code 2: GameError: {error}: it is started again"
        supervisor._roster["actor-0"].failed = None  # as at a start
    bury(supervisor, monkeypatch, "actor-0", 2, failed)
    reason = f"actor-0 ended with exit code 2 once too often: GameError: {error}"
    assert supervisor._outcome == Outcome(ExitCode.USAGE, reason, "")


def test_traceback_of_an_error_that_nobody_foresaw_is_in_the_outcome(supervisor, monkeypatch):
    failed = Failed(70, "ZeroDivisionError: division by zero", "Traceback: line 1", is_known=False)
    bury(supervisor, monkeypatch, "learner-0", 70, failed)
    reason = "learner-0 ended with exit code 70: ZeroDivisionError: division by zero"
    assert supervisor._outcome == Outcome(ExitCode.INTERNAL, reason, "Traceback: line 1")


@pytest.mark.parametrize(
    "failed",
    [
        Failed(70, "RuntimeError: Connection closed by peer", "", is_known=False),
        Failed(75, "DeviceError: CUDA out of memory: lower learner.batch_size", "Traceback", is_known=True),
        Failed(70, "MzpipeError: 3 training steps in a row were not finite again", "", is_known=True),
        Failed(74, "CheckpointError: cannot be saved: No space left on device", "", is_known=True),
    ],
)
def test_rank_that_fails_on_purpose_ends_the_run_and_one_that_fails_otherwise_is_started_again(
    make_supervisor, monkeypatch, failed
):
    supervisor = make_supervisor(tiny_profile("learner.devices=['cpu','cpu']"))
    rank = supervisor._roster["learner-1"]
    bury(supervisor, monkeypatch, "learner-1", failed.exit_code, failed)
    if failed.is_known:
        assert supervisor._outcome.exit_code == failed.exit_code
        assert supervisor._outcome.reason.endswith(failed.summary)
        assert supervisor._outcome.traceback == ""  # it is in the log
    else:
        assert supervisor._outcome is None and rank.state is State.DEAD
        known = Failed(70, "MzpipeError: three steps", "", is_known=True)
        bury(supervisor, monkeypatch, "learner-0", 70, known)  # the true cause is told second
        assert supervisor._outcome.reason.endswith("three steps")


SIGNALLED = Outcome(ExitCode.INTERRUPTED, "SIGINT: draining and saving a checkpoint")
REACHED = Outcome(ExitCode.FINISHED, "stop.learner_steps=10 reached")
BROKEN = Outcome(ExitCode.INTERNAL, "replay-0 was killed by SIGKILL", "traceback")
FULL = Failed(74, "CheckpointError: step_00000007: cannot be saved: No space left on device", "", is_known=True)
NOT_FINITE = NotSaved(1, 70, "weight in weights.safetensors is not finite")


def no_answer(supervisor, learner):
    """The learner is asked, and ends instead."""
    learner.state, learner.failed = State.READY, FULL
    supervisor._socket.send = lambda *_: True


def answer(supervisor, learner, message=NOT_FINITE):
    learner.state = State.READY
    supervisor._socket.send = lambda *_: supervisor._handle("learner-0", message) or True


def die(supervisor, learner):
    learner.state, learner.failed = State.DEAD, None


def save(supervisor, learner):
    answer(supervisor, learner, CheckpointSaved(1, 7))


def start(supervisor, learner):
    learner.state = State.STARTED


def have(supervisor, learner):
    learner.state = State.STARTED
    state = {"env_steps": 0, "learner_steps": 0, "weights_version": 0}
    store = CheckpointStore(supervisor._run.checkpoints)
    store.save("step_00000000", Checkpoint({"weight": np.zeros(1)}, {}, state), pointer="latest")


NONE = "no checkpoint is saved: "
STOPS = [
    ("saved", save, REACHED, 0, None),
    ("saved after a signal", save, SIGNALLED, 130, None),
    ("disk full at a limit", no_answer, REACHED, 74, NONE + FULL.summary),
    ("disk full after a signal", no_answer, SIGNALLED, 74, NONE + FULL.summary),
    ("not finite at a limit", answer, REACHED, 70, NONE + NOT_FINITE.summary),
    ("not finite after a signal", answer, SIGNALLED, 70, NONE + NOT_FINITE.summary),
    ("learner dead at a limit", die, REACHED, 70, NONE + "the learner is dead"),
    ("learner dead after a signal", die, SIGNALLED, 70, NONE + "the learner is dead"),
    ("learner dead in a failed run", die, BROKEN, 70, None),
    ("not begun at a limit", start, REACHED, 74, "the learner had not begun: no checkpoint"),
    ("not begun after a signal", start, SIGNALLED, 130, "the learner had not begun: no checkpoint"),
    ("not begun after a resume", have, REACHED, 0, "the learner had not begun: the latest checkpoint stays as it was"),
]


@pytest.mark.parametrize(("prepare", "cause", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in STOPS])
def test_stop_that_could_not_save_shows_in_exit_code_and_reason(supervisor, prepare, cause, code, words):
    supervisor._stopping, supervisor._ending.cause = True, cause
    prepare(supervisor, supervisor._roster["learner-0"])
    supervisor._save_checkpoint()
    outcome = supervisor._ending.outcome()
    assert outcome == Outcome(ExitCode(code), f"{cause.reason}; {words}" if words else cause.reason, cause.traceback)


@pytest.mark.parametrize(("identity", "code"), [("replay-0", 70), ("actor-0", 130)])
def test_process_that_dies_in_a_stop_is_named_and_the_end_of_the_journal_is_in_the_exit_code(
    supervisor, monkeypatch, identity, code
):
    supervisor._stopping, supervisor._ending.cause = True, SIGNALLED
    bury(supervisor, monkeypatch, identity, -9)
    words = f"at the stop {identity} was killed by SIGKILL"
    assert supervisor._view.lines == [words]
    assert supervisor._ending.outcome().exit_code == code
    missing = f"; {words}: the end of the journal may be missing"
    assert supervisor._ending.outcome().reason == SIGNALLED.reason + (missing if code == 70 else "")


class Signals:
    """The second signal comes after `late` questions."""

    def __init__(self, late):
        self._left = late

    def count(self):
        self._left -= 1
        return 1 if self._left > 0 else 2

    def first(self):
        return signal.SIGINT


def test_stop_waits_for_a_learner_that_works_says_so_once_and_ends_at_a_second_signal(supervisor, monkeypatch):
    learner, used_s = supervisor._roster["learner-0"], iter(range(100))
    monkeypatch.setattr(ending, "processor_s", lambda pid: next(used_s))
    monkeypatch.setattr(supervisor, "_turn_until", lambda deadline_s: False)
    learner.foreign_pidfd, supervisor._signals = 0, Signals(late=20)
    supervisor._ending.cause = SIGNALLED
    supervisor._wait_for_checkpoint(learner)
    learner.foreign_pidfd = None
    assert supervisor._view.lines == [
        "the learner is in a long call: waiting for its checkpoint; Ctrl-C again ends the run without it"
    ]
    outcome = supervisor._ending.outcome()
    assert outcome.exit_code == 130 and next(used_s) > 5
    assert outcome.reason.endswith("; no checkpoint is saved: a second signal has come")


@pytest.mark.parametrize(("used_s", "asked"), [([1, 2, 2], 2), ([1, 2, 3, 3], 3), ([1, None], 1)])
def test_stop_no_longer_waits_for_a_learner_that_stands_still(supervisor, monkeypatch, used_s, asked):
    learner, used_s, asks = supervisor._roster["learner-0"], iter(used_s), []
    monkeypatch.setattr(ending, "processor_s", lambda pid: next(used_s))
    monkeypatch.setattr(supervisor, "_turn_until", lambda deadline_s: asks.append(deadline_s))
    learner.foreign_pidfd = 0
    supervisor._wait_for_checkpoint(learner)
    learner.foreign_pidfd = None
    assert len(asks) == asked
    outcome = supervisor._ending.outcome()
    assert (outcome.exit_code, outcome.reason) == (70, "; no checkpoint is saved: the learner has stood still for 5 s")


def test_processor_time_grows_while_a_child_works_and_stands_while_it_is_stopped():
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    parent = subprocess.Popen([sys.executable, "-c", program])
    children = psutil.Process(parent.pid).children
    try:
        wait_until(children, 30, "a child")
        # Until the child has begun its program, its parent waits as for a disk.
        status = psutil.Process(parent.pid).status
        wait_until(lambda: status() != psutil.STATUS_DISK_SLEEP, 30, "the child's program")
        former_s = ending.processor_s(parent.pid)
        wait_until(lambda: ending.processor_s(parent.pid) > former_s + 0.1, 30, "the child to work")
        (child,) = children()
        child.suspend()
        wait_until(lambda: child.status() == psutil.STATUS_STOPPED, 30, "the child to stop")
        stopped_s = ending.processor_s(parent.pid)
        busy = sum(n * n for n in range(3_000_000))  # the test's own work does not count
        assert busy and ending.processor_s(parent.pid) == stopped_s
    finally:
        for child in children():
            child.kill()
        parent.kill()
        parent.wait(10)
    assert ending.processor_s(parent.pid) is None


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
