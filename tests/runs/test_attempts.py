"""Writes that a disk refuses: two lines however often they fail, tried again when due, given up after the patience."""

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.runs.attempts import RETRY_S, Attempts
from tests.launch.fakes import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines():
    return []


def refuse():
    raise InputOutputError("cannot write x: No space left on device")


def nothing():
    pass


def test_attempts_tell_once_that_writes_fail_and_once_that_they_go_on(lines, clock):
    attempts = Attempts("curves", lines.append, lost="points are missing", clock=clock.monotonic)
    assert attempts.make(nothing) and not lines
    assert not any(attempts.make(refuse) for _ in range(3))
    assert attempts.make(nothing) and attempts.make(nothing)
    assert lines == [
        "cannot write x: No space left on device: curves are tried again until that works; points are missing",
        "curves are written again",
    ]


def test_attempts_are_due_a_while_after_the_last_that_failed(lines, clock):
    attempts = Attempts("curves", lines.append, clock=clock.monotonic)
    assert not attempts.is_due
    for _ in range(2):
        attempts.make(refuse)
        assert not attempts.is_due
        clock.now_s += RETRY_S
        assert attempts.is_due
    attempts.make(nothing)
    assert not attempts.is_due


def test_attempts_raise_when_none_has_succeeded_for_the_patience(lines, clock):
    attempts = Attempts("checkpoints", lines.append, patience_s=3600.0, clock=clock.monotonic)

    def try_for(seconds):
        for _ in range(round(seconds / RETRY_S)):
            clock.now_s += RETRY_S
            attempts.make(refuse)

    attempts.make(refuse)
    try_for(3600.0 - RETRY_S)
    attempts.make(nothing)
    attempts.make(refuse)
    try_for(3600.0 - RETRY_S)
    attempts.make(nothing)
    attempts.make(refuse)
    clock.now_s += 86_400.0  # the process was stopped for a day
    attempts.make(refuse)
    with pytest.raises(InputOutputError, match=r"No space left on device: no checkpoints could be written for 60 min"):
        try_for(3600.0)


def test_attempts_let_other_errors_through(lines, clock):
    with pytest.raises(ZeroDivisionError):
        Attempts("curves", lines.append).make(lambda: 1 / 0)
    assert not lines
