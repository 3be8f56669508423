"""How a role meets the supervisor."""

import pytest

from mzpipe.errors import UsageError
from mzpipe.ipc.messages import Welcome
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch import join
from mzpipe.launch.join import introduce
from mzpipe.runs.directory import LiveRun
from tests.launch.fakes import Clock

LIVE = LiveRun(1, "x", "/nowhere")


class LateSupervisor:
    """A control connection whose supervisor answers after this many seconds."""

    def __init__(self, clock, late_s):
        self._clock, self._answers_s, self.sent = clock, clock.now_s + late_s, []

    def send(self, message):
        self.sent.append(message)

    def wait(self, timeout_s):
        self._clock.now_s += timeout_s
        return self._clock.now_s >= self._answers_s

    def receive(self):
        return [Welcome(epoch=3)] if self._clock.now_s >= self._answers_s else []


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(join, "time", clock)
    return clock


def test_role_that_the_supervisor_started_waits_for_it_however_late_it_is(clock):
    late = LateSupervisor(clock, 3600.0)
    assert introduce(late, LIVE, Member(Role.ACTOR, 0), None) == 3
    assert len(late.sent) == 1


def test_role_that_was_started_by_hand_gives_up_on_a_supervisor_that_does_not_answer(clock):
    assert introduce(LateSupervisor(clock, 9.0), LIVE, Member(Role.ACTOR, 0), 10.0) == 3
    with pytest.raises(UsageError, match="did not answer within 10 s: if this process is already running, give"):
        introduce(LateSupervisor(clock, 11.0), LIVE, Member(Role.ACTOR, 0), 10.0)
