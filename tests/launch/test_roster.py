"""The roster: starts, back-off, budget and burial, with fake children."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mzpipe.ipc.messages import Failed
from mzpipe.ipc.shape import Member
from mzpipe.launch import roster as module
from mzpipe.launch.roster import BACKOFF_S, RESTART_BUDGET, RESTART_WINDOW_S, Roster, State
from mzpipe.runtime.process import describe_exit
from tests.launch.fakes import Clock
from tests.tiny import tiny_profile

MEMBERS = [Member("learner", 0), Member("inference", 0), Member("actor", 0), Member("actor", 1)]


class FakeChild:
    """A child that has ended with `code`."""

    def __init__(self, pid, arguments, environment):
        self.pid, self.pidfd, self.arguments, self.environment = pid, pid, arguments, environment
        self.code, self.closed, self.received = 0, False, []

    def reap(self):
        return self.code

    def close(self):
        self.closed = True

    def signal(self, number):
        self.received.append(number)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spawned(monkeypatch):
    """Every child that was started, in order."""
    children = []

    def spawn(arguments, *, environment, log):
        log.write(b"started\n")
        children.append(FakeChild(100 + len(children), arguments, environment))
        return children[-1]

    monkeypatch.setattr(module, "spawn", spawn)
    return children


@pytest.fixture
def make_roster(tmp_path, clock, spawned):
    def make(*overrides):
        return Roster(MEMBERS, tiny_profile(*overrides), tmp_path / "run", tmp_path, clock=clock.monotonic)

    return make


@pytest.fixture
def actor(make_roster):
    roster = make_roster()
    return SimpleNamespace(roster=roster, entry=roster["actor-0"])


def die(actor):
    """Starts the actor, buries it, and says whether it may start again."""
    actor.roster.start(actor.entry)
    actor.roster.reap(actor.entry)
    return actor.roster.schedule_restart(actor.entry)


def test_start_runs_the_role_s_program_with_our_pid_and_its_log(make_roster, spawned, tmp_path):
    roster = make_roster("learner.num_threads=3")
    roster.start(roster["learner-0"])
    roster.start(roster["actor-1"])
    run, pid = str(tmp_path / "run"), str(os.getpid())
    assert spawned[0].arguments == ["mzpipe.launch.join", "learner", "0", run, pid]
    assert spawned[1].arguments == ["mzpipe.launch.join", "actor", "1", run, pid]
    assert [child.environment["OMP_NUM_THREADS"] for child in spawned] == ["3", "1"]
    assert (tmp_path / "actor-1.log").read_text() == "started\n"


def test_start_appends_to_the_log_and_forgets_the_former_failure(actor, tmp_path):
    actor.roster.start(actor.entry)
    actor.entry.failed = Failed(70, "summary", "traceback", is_known=False)
    actor.roster.reap(actor.entry)
    actor.roster.start(actor.entry)
    assert actor.entry.failed is None
    assert actor.entry.starts == 2
    assert actor.entry.state is State.STARTED
    assert (tmp_path / "actor-0.log").read_text() == "started\n" * 2


def test_ranks_of_the_learner_start_again_only_when_all_of_them_can(tmp_path, clock, spawned):
    ranks = [Member("learner", 0), Member("learner", 1)]
    roster = Roster([*ranks, Member("actor", 0)], tiny_profile(), tmp_path, tmp_path, clock=clock.monotonic)
    for entry in roster.entries:
        roster.start(entry)
    first, second, actor = roster.entries
    roster.reap(second)
    roster.schedule_restart(second)
    roster.reap(actor)
    roster.schedule_restart(actor)
    clock.now_s += BACKOFF_S
    assert roster.due_restarts() == [actor]
    roster.reap(first)
    clock.now_s += BACKOFF_S
    roster.schedule_restart(first)
    assert roster.due_restarts() == [actor]  # the other waits for it
    clock.now_s += BACKOFF_S
    assert roster.due_restarts() == [first, second, actor]


def test_reap_gives_the_exit_code_and_lets_go_of_the_child(actor, spawned):
    actor.roster.start(actor.entry)
    assert actor.roster.alive() == [actor.entry]
    spawned[0].code = -9
    assert actor.roster.reap(actor.entry) == -9
    assert spawned[0].closed
    assert (actor.entry.state, actor.entry.pid, actor.entry.pidfd) == (State.DEAD, None, None)
    assert actor.roster.alive() == []


def test_restart_comes_after_a_back_off_that_doubles(actor, clock):
    for death in range(RESTART_BUDGET):
        assert die(actor)
        assert actor.entry.restart_at_s - clock.now_s == pytest.approx(BACKOFF_S * 2**death)


def test_restart_is_not_due_before_its_back_off_is_over(actor, clock):
    assert die(actor)
    clock.now_s += BACKOFF_S * 0.99
    assert actor.roster.due_restarts() == []
    clock.now_s += BACKOFF_S * 0.02
    assert actor.roster.due_restarts() == [actor.entry]
    actor.roster.start(actor.entry)
    assert actor.roster.due_restarts() == []


def test_restart_is_refused_when_the_budget_of_the_window_is_spent(actor, clock):
    assert all(die(actor) for _ in range(RESTART_BUDGET))
    assert not die(actor)
    assert actor.entry.state is State.GIVEN_UP
    clock.now_s += 2 * RESTART_WINDOW_S
    assert actor.roster.due_restarts() == []


def test_restart_budget_and_back_off_are_new_when_the_window_has_passed(actor, clock):
    assert all(die(actor) for _ in range(RESTART_BUDGET))
    clock.now_s += RESTART_WINDOW_S + 1
    assert die(actor)
    assert actor.entry.restart_at_s - clock.now_s == pytest.approx(BACKOFF_S)


def test_restart_budget_is_each_process_s_own(make_roster):
    roster = make_roster()
    first, second = (SimpleNamespace(roster=roster, entry=roster[name]) for name in ("actor-0", "actor-1"))
    while die(first):
        pass
    assert die(second)


def test_external_role_is_never_started_again_by_us(make_roster, clock):
    roster = make_roster("topology.external=actor")
    assert [roster.is_external(entry) for entry in roster.entries] == [False, False, True, True]
    roster["actor-0"].state = State.DEAD
    clock.now_s += RESTART_WINDOW_S
    assert roster.due_restarts() == []


def test_adopt_watches_a_process_that_is_not_our_child(make_roster):
    roster = make_roster("topology.external=actor")
    entry = roster["actor-0"]
    assert roster.adopt(entry, os.getpid())
    assert roster.alive() == [entry]
    assert entry.pid is None  # not ours to signal
    assert roster.reap(entry) is None
    assert entry.state is State.DEAD


def test_adopt_refuses_a_process_that_has_ended_already(make_roster):
    roster = make_roster("topology.external=actor")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not roster.adopt(roster["actor-0"], ended.pid)
    assert roster["actor-0"].state is State.ABSENT
    assert roster.alive() == []


def test_kill_spares_a_process_that_was_started_by_hand(make_roster, spawned):
    roster = make_roster("topology.external=actor")
    assert roster.adopt(roster["actor-0"], os.getpid())
    roster.start(roster["learner-0"])
    roster.kill()
    assert spawned[0].received == [signal.SIGKILL]
    roster.reap(roster["actor-0"])


@pytest.mark.parametrize(
    ("code", "text"),
    [(None, "ended"), (0, "ended with exit code 0"), (74, "ended with exit code 74"), (-9, "was killed by SIGKILL")],
)
def test_describe_exit_says_code_or_signal(code, text):
    assert describe_exit(code) == text
