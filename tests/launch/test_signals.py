"""Signals as something a poller can wait for."""

import select
import signal

import pytest

from mzpipe.errors import ExitCode
from mzpipe.ipc.messages import Evaluated
from mzpipe.launch.signals import HANDLED, Outcome, PauseSignal, SignalPipe, signal_outcome, solved
from tests.tiny import tiny_profile


@pytest.fixture
def signals(default_signals):
    with SignalPipe() as pipe:
        yield pipe


def readable(pipe):
    return bool(select.select([pipe.descriptor], [], [], 0)[0])


def evaluated(return_mean):
    return Evaluated(1, 2, 3, return_mean, 0.0, 4, True, "greedy")


def test_signal_pipe_is_quiet_when_nothing_comes(signals):
    assert not readable(signals)
    assert signals.first() is None
    assert signals.count() == 0


def test_pause_signal_is_taken_once_and_wakes_the_poller(signals):
    with PauseSignal() as pause:
        assert not pause.take()
        signal.raise_signal(signal.SIGTSTP)
        assert readable(signals)
        assert (pause.take(), pause.take()) == (True, False)
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    assert signals.first() is None  # it does not end the run


@pytest.mark.parametrize("number", HANDLED)
def test_signal_pipe_becomes_readable_instead_of_ending_the_process(signals, number):
    signal.raise_signal(number)
    assert readable(signals)
    assert signals.first() == number


def test_signal_pipe_is_emptied_when_it_is_asked(signals):
    signal.raise_signal(signal.SIGINT)
    assert readable(signals)
    signals.count()
    assert not readable(signals)
    signal.raise_signal(signal.SIGINT)
    assert readable(signals)


def test_signal_pipe_keeps_the_first_and_counts_all(signals):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        signal.raise_signal(number)
    assert signals.first() == signal.SIGTERM
    assert signals.count() == 3


def test_signal_pipe_counts_a_hangup_that_is_told_twice_once(signals):
    for number in (signal.SIGHUP, signal.SIGHUP):
        signal.raise_signal(number)
    assert (signals.first(), signals.count()) == (signal.SIGHUP, 1)
    signal.raise_signal(signal.SIGINT)
    assert signals.count() == 2


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_signal_pipe_leaves_ignored_what_was_ignored_at_the_start(default_signals, number):
    signal.signal(number, signal.SIG_IGN)
    with SignalPipe() as signals:
        signal.raise_signal(number)
        assert signals.first() is None
        signal.raise_signal(signal.SIGTERM)
        assert signals.first() == signal.SIGTERM
    assert signal.getsignal(number) is signal.SIG_IGN


def test_signal_pipe_gives_back_the_former_handlers_at_the_end(default_signals):
    former = [signal.getsignal(number) for number in HANDLED]
    with SignalPipe():
        assert [signal.getsignal(number) for number in HANDLED] != former
    assert [signal.getsignal(number) for number in HANDLED] == former
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, "SIGINT"),
        (signal.SIGTERM, ExitCode.TERMINATED, "SIGTERM"),
        (signal.SIGHUP, ExitCode.HUNG_UP, "SIGHUP"),
        (signal.SIGQUIT, ExitCode.QUIT, "SIGQUIT"),
    ],
)
def test_signal_outcome_has_the_shell_s_exit_code(signals, number, code, name):
    assert signal_outcome(signals) is None
    signal.raise_signal(number)
    assert signal_outcome(signals) == Outcome(code, f"{name}: draining and saving a checkpoint")
    assert code == 128 + number and code.is_signal
    assert signal_outcome(signals, "gone").reason == f"{name}: gone"


def test_signal_outcome_is_that_of_the_first_signal(signals):
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    assert signal_outcome(signals).exit_code == ExitCode.TERMINATED


def test_solved_ends_the_run_when_the_mean_return_reaches_the_goal():
    profile = tiny_profile("stop.return_mean=100.0")
    assert solved(profile, evaluated(99.9)) is None
    outcome = solved(profile, evaluated(100.0))
    assert outcome == Outcome(ExitCode.FINISHED, "solved: mean return 100.0 >= stop.return_mean=100")


def test_solved_never_ends_a_run_without_a_goal():
    assert solved(tiny_profile(), evaluated(1e9)) is None
