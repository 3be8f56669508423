"""Onlookers: whom they call dead, standing still or started again, from the words that the processes write anyway."""

import signal
import subprocess

import psutil
import pytest

from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.launch.progress import Onlooking
from tests.launch.fakes import Clock
from tests.processes import status
from tests.waiting import wait_until

SERVER = Member("inference", 0)


class Looked:
    """An onlooker who looks every two seconds at a plane, each process of which is a sleeping program."""

    def __init__(self, plane, children):
        self.plane, self.clock, self.children = plane, Clock(), children
        for member, child in children.items():
            counters = plane.counters(member)
            counters.set("pid", child.pid)
            counters.set("ready", 1)
        self.onlooking = Onlooking(plane, self.clock.monotonic)

    def look(self, *, standing=(), seconds=2.0):
        """The words of a look, after which every process but those has lapped since the last one."""
        self.clock.now_s += seconds
        for member in self.children:
            if member not in standing:
                self.plane.counters(member).add("laps")
        return [words for _, words in self.onlooking.look()]

    def stop(self, member):
        child = self.children[member]
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: status(child.pid) == psutil.STATUS_STOPPED, 30, "the child to stop")

    def end(self, member):
        child = self.children[member]
        child.kill()
        wait_until(lambda: status(child.pid) in (None, psutil.STATUS_ZOMBIE), 30, "the child's end")


@pytest.fixture
def looked(plane):
    children = {member: subprocess.Popen(["sleep", "1000"]) for member in plane.shape.members()}
    try:
        yield Looked(plane, children)
    finally:
        for child in children.values():
            child.kill()
            child.wait(10)


def test_onlooker_has_nothing_to_say_of_processes_that_lap(looked):
    assert [looked.look() for _ in range(3)] == [[], [], []]


def test_onlooker_says_how_long_a_process_stands_still_and_after_what(looked):
    looked.plane.stage_clock(SERVER).end(Stage.INFERENCE_REPLY)
    looked.look()
    assert looked.look(standing=[SERVER]) == ["inference-0: no progress for 2.0 s, after stage 'reply'"]
    assert looked.look(standing=[SERVER]) == ["inference-0: no progress for 4.0 s, after stage 'reply'"]
    assert looked.look() == []
    looked.look(standing=[SERVER])
    assert looked.look(standing=[SERVER])[0].endswith("for 4.0 s, after stage 'reply' (its longest lap so far: 6.0 s)")


def test_onlooker_who_looks_often_does_not_take_a_lap_for_a_standstill(looked):
    looked.look()
    assert [looked.look(standing=[SERVER], seconds=0.3) for _ in range(3)] == [[], [], []]
    assert looked.look(standing=[SERVER], seconds=0.3) != []


def test_onlooker_names_the_long_call_in_which_a_process_stands(looked):
    learner = Member("learner", 0)
    looked.plane.counters(learner).set("long_call", LongCall.SAVE)
    looked.look()
    assert looked.look(standing=[learner]) == ["learner-0: no progress for 2.0 s, in its saving a checkpoint"]


def test_onlooker_says_that_a_process_is_stopped_and_that_the_whole_run_is(looked):
    looked.look()
    looked.stop(SERVER)
    (words,) = looked.look(standing=[SERVER])
    assert words.endswith(f"; it is stopped, SIGCONT to {looked.children[SERVER].pid} continues it")
    for member in looked.children:
        looked.stop(member)
    assert looked.look(standing=looked.children) == ["the run is paused: all of its processes are stopped"]


def test_onlooker_tells_a_process_that_has_ended_from_one_that_starts(looked):
    looked.look()
    looked.end(SERVER)
    pid = looked.children[SERVER].pid
    assert [looked.look(standing=[SERVER]) for _ in range(2)] == [[f"inference-0: has ended (it was pid {pid})"]] * 2
    looked.plane.counters(SERVER).set("long_call", LongCall.START)
    assert looked.look(standing=[SERVER]) == ["inference-0: is starting"]
    looked.plane.counters(SERVER).set("long_call", LongCall.NONE)
    looked.plane.counters(SERVER).set("pid", looked.children[Member("actor", 0)].pid)  # its successor's
    assert looked.look() == ["inference-0: was started again in this time"]
    assert looked.look() == []


def test_onlooker_does_not_take_processes_for_dead_whose_pids_are_unknown_here(looked):
    ended = subprocess.Popen(["true"])
    ended.wait(10)
    for pid in (0, ended.pid):  # one process has all the roles; the run is in another container
        for member in looked.children:
            looked.plane.counters(member).set("pid", pid)
        looked.onlooking = Onlooking(looked.plane, looked.clock.monotonic)
        looked.look()
        assert [looked.look() for _ in range(2)] == [[], []]


def test_onlooker_says_that_processes_start_which_have_never_been_ready(plane):
    onlooking = Onlooking(plane)
    words = [words for _, words in onlooking.look()]
    assert words == [f"{member.identity}: is starting" for member in plane.shape.members()]


def test_onlooker_expects_nothing_of_a_run_that_stops(looked):
    looked.look()
    looked.end(SERVER)
    looked.plane.stop_word().raise_to(1)
    assert looked.look(standing=looked.children) == ["the run is stopping"]
