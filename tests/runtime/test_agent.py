"""The duty cycle: order, ends, and how a failure is reported."""

import numpy as np
import pytest

from mzpipe.errors import DeviceError, ExitCode
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.control import LocalPort, StopWord
from mzpipe.ipc.counters import Counters, counters_layout
from mzpipe.ipc.doorbell import Doorbell
from mzpipe.ipc.errorlog import ErrorLog, errorlog_layout
from mzpipe.ipc.messages import Failed, Note, Ready
from mzpipe.ipc.stages import StageClock, stages_layout
from mzpipe.runtime.agent import StopView, run_agent
from mzpipe.runtime.idle import IdleStrategy


class FakeAgent:
    """Logs its calls; asks for the stop after `laps` laps; raises where told."""

    role, drains, too_late = "fake", 1, None

    def __init__(self, word, laps=3, raise_in=None, error=None):
        self.word, self.laps, self.raise_in, self.error, self.calls = word, laps, raise_in, error, []

    def call(self, name):
        self.calls.append(name)
        if name == self.raise_in:
            raise self.error

    def on_start(self):
        self.call("on_start")

    def do_work(self):
        self.call("do_work")
        if self.calls.count("do_work") == self.laps:
            self.word.raise_to(2)
        return 1

    def drain(self):
        self.call("drain")
        if self.calls.count("drain") == self.too_late:
            self.word.raise_to(3)
        return self.calls.count("drain") >= self.drains

    def on_message(self, message):
        self.call(message.text)

    def on_close(self):
        self.calls.append("on_close")


@pytest.fixture
def world():
    """(stop word, port, counters, errors, function that runs an agent)."""
    word, port = StopWord(np.zeros(16, np.int64)), LocalPort()
    counters = Counters(counters_layout(1).views(bytearray(counters_layout(1).nbytes))["words"], 0)
    errors = ErrorLog(errorlog_layout(1).views(bytearray(errorlog_layout(1).nbytes))["words"], 0)

    stage_words = stages_layout(1).views(bytearray(stages_layout(1).nbytes))["words"]

    def run(agent, stage=2):
        idle = IdleStrategy(Doorbell(np.zeros((1, 16), np.int64), 0))
        return run_agent(
            agent,
            control=port,
            stop=StopView(word, stage),
            idle=idle,
            counters=counters,
            clock=StageClock(stage_words, 0),
            errors=errors,
        )

    return word, port, counters, errors, run


def test_run_agent_calls_in_order_and_ends_with_0_when_it_is_told_to_stop(world):
    word, port, counters, errors, run = world
    port.to_role.append(Note("hello"))
    agent = FakeAgent(word)
    assert run(agent) == ExitCode.FINISHED
    assert agent.calls == ["on_start", "do_work", "hello", "do_work", "do_work", "drain", "on_close"]
    assert isinstance(port.to_supervisor[0], Ready)
    assert (counters.get("ready"), counters.get("laps"), counters.get("busy_laps")) == (1, 3, 3)
    assert errors.read() == []


def test_run_agent_continues_until_the_stop_reaches_its_own_stage(world):
    word, *_, run = world
    word.raise_to(1)
    agent = FakeAgent(word, laps=5)
    assert run(agent, stage=2) == ExitCode.FINISHED
    assert agent.calls.count("do_work") == 5


@pytest.mark.parametrize(("too_late", "calls"), [(None, 5), (2, 2)], ids=["all taken", "the next stage comes first"])
def test_run_agent_drains_until_all_is_handed_over_or_its_readers_stop_too(world, too_late, calls):
    word, *_, run = world
    agent = FakeAgent(word)
    agent.drains, agent.too_late = 5, too_late
    assert run(agent) == ExitCode.FINISHED
    assert agent.calls[4:] == [*calls * ["drain"], "on_close"]


def test_run_agent_says_while_it_starts_that_it_does(world):
    word, _, counters, _, run = world
    calls = []

    class Watched(FakeAgent):
        def call(self, name):
            calls.append((name, counters.get("long_call")))
            super().call(name)

    run(Watched(word, laps=1))
    assert calls[:2] == [("on_start", LongCall.START), ("do_work", LongCall.NONE)]


@pytest.mark.parametrize("where", ["on_start", "do_work"])
@pytest.mark.parametrize(
    ("error", "code"), [(ValueError("broken"), ExitCode.INTERNAL), (DeviceError("no GPU"), ExitCode.DEVICE)]
)
def test_run_agent_records_and_reports_a_failure_and_closes_once(world, where, error, code, capsys):
    word, port, _, errors, run = world
    agent = FakeAgent(word, raise_in=where, error=error)
    assert run(agent) == code
    assert agent.calls.count("on_close") == 1
    assert agent.calls[-1] == "on_close"
    message = port.to_supervisor[-1]
    assert isinstance(message, Failed)
    assert message.exit_code == code
    assert str(error) in message.summary
    assert message.traceback == errors.read()[0].text
    assert "Traceback" in message.traceback
    assert capsys.readouterr().err == message.traceback  # of a role this is the log


def test_idle_returns_at_once_after_work_and_when_it_was_rung_during_the_lap():
    bell = Doorbell(np.zeros((1, 16), np.int64), 0)
    idle = IdleStrategy(bell)
    waits = []
    next_sequence = bell.next_sequence

    def waited(seen, *limits):
        sequence = next_sequence(seen, *limits)
        waits.append(sequence != seen)
        return sequence

    bell.next_sequence = waited
    idle.after(1)
    assert waits == []
    bell.ring()
    idle.after(0)
    idle.after(0)
    assert waits == [True, False]
