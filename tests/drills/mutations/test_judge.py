"""The drill of mutations notices planted faults, and lets through what is fine."""

import mmap
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from tests.drills.mutations.commands import Place
from tests.drills.mutations.forks import Limits
from tests.drills.mutations.judge import Kind, Truth, judge
from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.trial import meet

MIB = 1 << 20
LIMITS = Limits(seconds=60.0, bytes=200 * MIB)
DAMAGED = Mutation("flip", "run/checkpoints/step_00000400/weights.safetensors", lambda path: None)
RESUMED = "run: resuming at env step 1,000, learner step 400\n"


def planted(function, *, changes=False, verb="eval"):
    """A command that does this at its place; its answer is what it has printed to stdout."""
    return SimpleNamespace(
        verb=verb,
        changes=changes,
        answer=lambda place, output: output,
        function=lambda place: lambda: function(place) or 0,
    )


def say(text, code=0):
    def function(place):
        sys.stdout.write(text)
        return code

    return function


def fail(text, code):
    def function(place):
        sys.stderr.write(text)
        return code

    return function


def raise_error(place):
    raise KeyError("step")


def hang(place):
    while True:
        signal.pause()


def spin(place):
    while True:
        pass


def take_memory(place):
    taken = bytearray(300 * MIB)
    taken[::4096] = b"x" * len(taken[::4096])


def ask_for_memory(place):
    bytearray(1 << 50)


def killed(place):
    os.kill(os.getpid(), signal.SIGKILL)


def change_and_refuse(place):
    (place.run / "profile.toml").write_text("another")
    sys.stderr.write("mzpipe eval: no\n")
    return 74


def change(place):
    (place.run / "profile.toml").write_text("another")


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.run.mkdir(parents=True)
    (place.run / "profile.toml").write_text("seed = 1\n")
    return place


SOUND = say("3.5\n")


def kind_of(place, function, *, sound=SOUND, limits=LIMITS, mutation=DAMAGED, others=(), **options):
    """The judgement of a planted command next to a sound one."""
    truth = Truth(meet(planted(sound, **options), place, LIMITS), dict(others))
    command = planted(function, **options)
    return judge(command, mutation, meet(command, place, limits), truth, limits)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (raise_error, Kind.TRACEBACK),
        (killed, Kind.TRACEBACK),
        (take_memory, Kind.MEMORY),
        (ask_for_memory, Kind.MEMORY),
        (say("4.5\n"), Kind.WRONG),
        (change, Kind.CHANGED),
        (change_and_refuse, Kind.CHANGED),
        (fail("mzpipe eval: no\n", 1), Kind.CODE),
        (fail("mzpipe eval: a\nmzpipe eval: b\n", 74), Kind.UNTIDY),
        (fail("mzpipe eval: \x1b[31m\n", 74), Kind.UNTIDY),
        (say("no word on stderr", 74), Kind.UNTIDY),
    ],
)
def test_judge_names_a_planted_fault(place, function, kind):
    assert kind_of(place, function) == kind
    assert kind.is_bad


def test_judge_calls_a_command_that_does_not_end_a_hang(place):
    assert kind_of(place, hang, limits=LIMITS._replace(seconds=0.5)) == Kind.HANG
    assert kind_of(place, spin, limits=LIMITS._replace(processor_seconds=1)) == Kind.HANG


@pytest.mark.parametrize("text", ["compiling\n", "run: resuming at env step 0, learner step 0\n"])
def test_judge_notices_a_run_that_starts_from_scratch_although_it_says_so(place, text):
    assert kind_of(place, say(text), sound=say(RESUMED), changes=True, verb="train") == Kind.SCRATCH


def test_meet_measures_what_a_command_takes_beyond_what_is_loaded(place):
    def take(place):
        taken = mmap.mmap(-1, 100 * MIB)  # bytes of the heap may lie where an earlier test's were
        taken[::4096] = b"x" * len(taken[::4096])

    assert 90 * MIB < meet(planted(take), place, LIMITS).done.peak_bytes < 150 * MIB


def test_judge_lets_a_resumed_run_change_its_directory(place):
    def train(place):
        change(place)
        sys.stdout.write(RESUMED)

    assert kind_of(place, train, sound=train, changes=True, verb="train") == Kind.UNAFFECTED


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (say("3.5\n"), Kind.UNAFFECTED),
        (fail("mzpipe eval: weights.safetensors: damaged\n", 74), Kind.LINE),
        (fail("mzpipe eval: w is not finite\n", 70), Kind.LINE),
        (say("step_00000400 is damaged: using another\n1\n"), Kind.NOTE),
        (say("step_00000300: 2.5\n"), Kind.OTHER),
    ],
)
def test_judge_accepts(place, function, kind):
    assert kind_of(place, function, others={"step_00000300": "step_00000300: 2.5\n"}) == kind
    assert not kind.is_bad


def test_judge_takes_another_answer_for_what_the_file_says_only_where_nothing_could_tell(place):
    for mutation, kind in (
        (DAMAGED._replace(target="run/scores.csv"), Kind.AS_WRITTEN),
        (DAMAGED._replace(is_plausible=True), Kind.AS_WRITTEN),
        (DAMAGED._replace(target="run/journal/segment-00000001.mzj", is_forged=True), Kind.AS_WRITTEN),
        (DAMAGED._replace(target="run/journal/state.mzs"), Kind.WRONG),
        (DAMAGED._replace(target="run/journal/segment-00000001.mzj"), Kind.WRONG),
    ):
        assert kind_of(place, say("4.5\n"), mutation=mutation, verb="export") == kind
