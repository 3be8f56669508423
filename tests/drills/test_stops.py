"""The judges of the drills that stop processes, against lines that the supervisor writes and against planted faults."""

from pathlib import Path

import pytest

from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from tests.drills import load
from tests.drills.stops import Stop, Told, has_stack, is_plain, read_told

LINE = "actor-1: no progress for 5.1 s, after stage 'tree' (at most 5.0 s): its stack is in /runs/x/logs/actor-1.log"
STACK = """
mzpipe: no progress for 5.1 s; the stack of every thread:
Thread 0x1 (most recent call first):
  File "threading.py", line 331 in wait

Current thread 0x2 (most recent call first):
  File "actor.py", line 58 in do_work
  File "agent.py", line 98 in run_agent
"""
GOOD = Stop(Member(Role.ACTOR, 1), 5.2, read_told(LINE), has_stack=True, is_replaced=True, useful_s=2.0)


def bad_rows(stop):
    return {row.what.partition(": ")[2] for row in stop.rows() if row.verdict == "BAD"}


def test_line_about_a_silent_process_is_read_whole():
    assert read_told(LINE) == Told("actor-1", 5.1, "after stage 'tree'", 5.0, Path("/runs/x/logs/actor-1.log"))
    assert read_told(LINE.replace("5.0 s)", "5.0 s; topology.silence_s raises this)")) == read_told(LINE)
    assert read_told("actor-1 (pid 7) was killed by SIGKILL: it is started again") is None


@pytest.mark.parametrize("doing", ["after stage 'root search'", "before its first stage", "in its first training step"])
def test_stage_or_call_is_named(doing):
    assert is_plain(doing)
    assert not is_plain("after stage ''")


def test_stack_must_follow_the_newest_heading_and_reach_the_duty_cycle():
    assert has_stack(STACK)
    assert not has_stack(STACK + "mzpipe: no progress for 6.0 s; the stack of every thread:\n")
    assert not has_stack(STACK.partition("Current thread")[0])
    assert not has_stack("Traceback (most recent call first) in run_agent".replace("call first", "call last"))


def test_stop_that_was_noticed_and_mended_has_good_rows():
    assert bad_rows(GOOD) == set()


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ({"noticed_s": 5.6}, {"noticed"}),
        ({"told": read_told(LINE.replace("actor-1:", "actor-0:"))}, {"noticed", "said to be"}),
        ({"has_stack": False}, {"stack in its log"}),
        ({"is_replaced": False}, {"killed and replaced"}),
        ({"useful_s": None}, {"killed and replaced"}),
        ({"others_told": [LINE]}, {"others said to be silent"}),
    ],
)
def test_stop_has_a_bad_row_for_each_fault(fault, row):
    assert bad_rows(GOOD._replace(**fault)) == row


def test_stop_that_is_not_noticed_is_bad():
    assert {"noticed", "stack in its log"} <= bad_rows(Stop(GOOD.member, 22.0, None))


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        "actor-0 (pid 7) made no progress for 5.1 s and was killed: it is started again",
        "replay-0 (pid 7) ended with exit code 70",
    ],
)
def test_load_has_a_bad_row_for_a_process_that_was_killed_or_called_silent(line):
    quiet = [
        "all 7 processes are ready",
        "removed /dev/shm/x, left by a run that was killed",
        "[  10.0s] env 1,000 (100/s)",
    ]
    assert all(row.is_held for row in load.rows_of(quiet, restarts=0, steps=9, code=130))
    assert not all(row.is_held for row in load.rows_of([*quiet, line], restarts=0, steps=9, code=130))


@pytest.mark.parametrize("fault", [{"restarts": 1}, {"steps": 0}, {"code": 70}])
def test_load_has_a_bad_row_for_a_run_that_restarts_or_stands_still_or_ends_otherwise(fault):
    assert [row.is_held for row in load.rows_of([], **{"restarts": 0, "steps": 9, "code": 130, **fault})].count(
        False
    ) == 1
