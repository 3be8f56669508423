"""Silence: which processes count as stuck, and what becomes of them."""

import signal
from types import SimpleNamespace

import pytest

from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.stages import Stage
from mzpipe.launch.progress import Sign
from mzpipe.launch.roster import Entry, Roster, State
from mzpipe.launch.silence import FEW_LAPS, FEW_LAPS_LIMIT_S, LONGER, STACKS, SilenceKeeper, SilenceWatch
from mzpipe.runtime.attended import AttendedClock
from mzpipe.runtime.process import STACK_SIGNAL
from tests.launch.fakes import Clock, Screen
from tests.tiny import tiny_profile

LIMIT_S, TICK_S, LONGEST_TURN_S = 5.0, 0.2, 1.0
WORKING = Sign(life=1, is_ready=True, laps=0, parts=0, busy_laps=0, call=LongCall.NONE)


class Watched:
    """A watch that looks every tick at one process, whose signs are made by hand."""

    def __init__(self, limit_s=LIMIT_S):
        self.clock = Clock()
        self.watch = SilenceWatch(limit_s, AttendedClock(LONGEST_TURN_S, self.clock.monotonic))
        self.sign = WORKING
        self.look()

    def look(self):
        silence = self.watch.look({"actor-0": self.sign})["actor-0"]
        return silence if silence.is_too_long else None

    def passes(self, seconds):
        """Lets time pass while the process shows nothing new; returns its silence, and after how long it was seen."""
        for tick in range(round(seconds / TICK_S)):
            self.clock.now_s += TICK_S
            silence = self.look()
            if silence is not None:
                return silence, (tick + 1) * TICK_S
        return None

    def laps(self, count, *, busy=True):
        for _ in range(count):
            self.sign = self.sign._replace(laps=self.sign.laps + 1, busy_laps=self.sign.busy_laps + busy)
            assert self.passes(TICK_S) is None

    def experienced(self):
        self.laps(FEW_LAPS)
        return self


@pytest.fixture
def watched():
    return Watched()


def test_watch_sees_a_silence_as_long_as_the_limit_and_not_a_shorter_one(watched):
    watched.experienced()
    silence, _ = watched.passes(2 * LIMIT_S)
    assert LIMIT_S < silence.seconds <= LIMIT_S + 2 * TICK_S
    assert silence.limit_s == LIMIT_S


def test_watch_leaves_a_process_alone_that_laps_without_work(watched):
    watched.experienced()
    watched.laps(round(10 * LIMIT_S / TICK_S), busy=False)


def test_watch_allows_five_times_the_longest_lap_so_far(watched):
    watched.experienced()
    assert watched.passes(4.0) is None
    watched.laps(1)
    silence, _ = watched.passes(100.0)
    assert silence.limit_s == pytest.approx(LONGER * 4.0, abs=2 * LONGER * TICK_S)


def test_watch_is_patient_with_the_first_laps_that_do_work_of_every_life(watched):
    watched.laps(FEW_LAPS - 1)
    assert watched.passes(FEW_LAPS_LIMIT_S - TICK_S) is None
    watched.sign = watched.sign._replace(life=2)
    watched.experienced()
    watched.sign = watched.sign._replace(life=3)
    _, seen_s = watched.passes(2 * FEW_LAPS_LIMIT_S)
    assert seen_s > FEW_LAPS_LIMIT_S


@pytest.mark.parametrize("call", [call for call in LongCall if call is not LongCall.NONE])
def test_watch_gives_a_long_call_its_own_limit_and_does_not_learn_from_it(watched, call):
    watched.experienced()
    watched.sign = watched.sign._replace(call=call)
    assert watched.passes(call.limit_s - TICK_S) is None
    watched.sign = watched.sign._replace(parts=1)
    assert watched.passes(call.limit_s - TICK_S) is None
    watched.sign = watched.sign._replace(call=LongCall.NONE)
    silence, _ = watched.passes(2 * LIMIT_S)
    assert silence.limit_s == LIMIT_S
    watched.sign = watched.sign._replace(call=call)
    silence, _ = watched.passes(2 * call.limit_s)
    assert silence.limit_s == call.limit_s


def test_watch_allows_every_call_at_least_what_the_profile_does():
    watched = Watched(limit_s=100.0)
    watched.sign = WORKING._replace(call=LongCall.GAME)
    assert watched.passes(100.0) is None
    assert watched.passes(1.0) is not None


def test_watch_waits_for_a_process_that_starts_as_long_as_a_start_may_take(watched):
    watched.sign = WORKING._replace(life=2, is_ready=False)
    assert watched.passes(LongCall.START.limit_s - TICK_S) is None
    assert watched.passes(1.0) is not None


@pytest.mark.parametrize("away_s", [LONGEST_TURN_S + 0.1, 10.0, 1e6])
def test_watch_does_not_count_the_time_in_which_it_did_not_look(watched, away_s):
    watched.experienced()
    assert watched.passes(LIMIT_S - TICK_S) is None
    watched.clock.now_s += away_s
    assert watched.look() is None
    assert watched.passes(LIMIT_S - TICK_S) is None
    assert watched.passes(1.0) is not None


class FakeChild:
    """A child that notes its signals and writes a stack."""

    def __init__(self, log):
        self.pidfd, self.pid, self.received, self._log = 1, 7, [], log

    def signal(self, number):
        self.received.append(number)
        if number == STACK_SIGNAL:
            with open(self._log, "a") as log:
                log.write("Thread 0x1 (most recent call first):\n")


@pytest.fixture
def keep(plane, profile, tmp_path):
    """A keeper of the plane's processes, all of which live and have worked for long."""

    def make(*overrides):
        clock, screen = Clock(), Screen()
        attended = AttendedClock(LONGEST_TURN_S, clock.monotonic)
        roster = Roster(plane.shape.members(), tiny_profile(*overrides), tmp_path, tmp_path)
        keeper = SilenceKeeper(plane, roster, tmp_path, screen, LIMIT_S, attended)
        kept = SimpleNamespace(
            keeper=keeper, roster=roster, lines=screen.lines, clock=clock, plane=plane, attended=attended
        )
        for entry in roster.entries:
            if roster.is_external(entry):
                entry.foreign_pidfd = 1
            else:
                entry.child = FakeChild(tmp_path / f"{entry.member.identity}.log")
            entry.state, entry.starts = State.READY, 1
        keeper.look()
        for entry in roster.entries:
            plane.counters(entry.member).set("busy_laps", FEW_LAPS)
            plane.counters(entry.member).set("laps", FEW_LAPS)
        pass_time(kept, 4 * TICK_S)
        return kept

    return make


def pass_time(kept, seconds, silent=()):
    """Lets every process lap but those of these identities."""
    for _ in range(round(seconds / TICK_S)):
        kept.clock.now_s += TICK_S
        for entry in kept.roster.entries:
            if entry.member.identity not in silent:
                kept.plane.counters(entry.member).add("laps")
        kept.keeper.look()


def others(kept, *silent):
    return [entry for entry in kept.roster.entries if entry.member.identity not in silent]


def test_keeper_writes_the_stack_tells_once_and_kills_a_moment_later(keep, tmp_path):
    kept = keep()
    actor: Entry = kept.roster["actor-0"]
    kept.plane.stage_clock(actor.member).end(Stage.ENV_STEP)
    pass_time(kept, LIMIT_S + 2 * TICK_S, silent=["actor-0"])
    log = tmp_path / "actor-0.log"
    (line,) = kept.lines
    assert line.startswith("actor-0: no progress for 5.")
    assert "s, after stage 'env step' (at most 5.0 s; topology.silence_s raises this): " in line
    assert line.endswith(f": its stack is in {log}")
    assert actor.child.received == [STACK_SIGNAL, signal.SIGCONT]
    assert log.read_text().splitlines()[0].startswith(STACKS)
    assert log.read_text().splitlines()[1].startswith("Thread")
    pass_time(kept, 2.0, silent=["actor-0"])
    assert actor.child.received[2] == signal.SIGKILL
    assert len(kept.lines) == 1
    assert actor.silence.startswith("made no progress for 5.")
    assert all(entry.child.received == [] for entry in others(kept, "actor-0"))


def test_keeper_names_the_long_call_that_did_not_end(keep):
    kept = keep()
    kept.plane.counters(kept.roster["learner-0"].member).set("long_call", LongCall.SAVE)
    pass_time(kept, LongCall.SAVE.limit_s + 2 * TICK_S, silent=["learner-0"])
    assert "in its saving a checkpoint (at most 300.0 s;" in kept.lines[0]


def test_keeper_tells_of_a_role_that_was_started_by_hand_and_leaves_it_alone(keep):
    kept = keep("topology.external=actor")
    for seconds in (2 * LIMIT_S, 3 * LONGER * LIMIT_S):  # the first one shows how long a call of this process can be
        pass_time(kept, seconds, silent=["actor-0"])
        pass_time(kept, 1.0)
    assert len(kept.lines) == 2
    assert kept.lines[0].endswith("it was started by hand: look at it there, or end it and start it again")


def test_keeper_gives_everybody_a_new_period_after_a_pause(keep):
    kept = keep()
    pass_time(kept, LIMIT_S - TICK_S, silent=["actor-0"])
    kept.attended.leave(lambda: None)
    pass_time(kept, LIMIT_S - TICK_S, silent=["actor-0"])
    assert kept.lines == []


def test_keeper_notes_a_process_that_takes_longer_than_ever_before_it_counts_as_stuck(keep):
    kept = keep()
    kept.plane.counters(kept.roster["replay-0"].member).set("long_call", LongCall.SAVE)
    pass_time(kept, LIMIT_S, silent=["replay-0"])
    assert kept.keeper.note == ""
    pass_time(kept, 1.0, silent=["replay-0"])
    assert kept.keeper.note.startswith("replay-0: no progress for ")
    assert kept.keeper.note.endswith("s, in its saving a checkpoint (at most 300.0 s; topology.silence_s raises this)")
    pass_time(kept, TICK_S)
    assert kept.keeper.note == ""


def test_keeper_does_not_note_a_process_that_is_as_slow_as_before(keep):
    kept = keep()
    for seconds in (LIMIT_S - TICK_S, 2 * LIMIT_S, LIMIT_S + TICK_S):
        pass_time(kept, seconds, silent=["actor-0"])
        noted = kept.keeper.note
        pass_time(kept, TICK_S)
        assert bool(noted) == (seconds > 2 * LIMIT_S - 1)
    assert kept.lines == []
