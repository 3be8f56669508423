"""Damaged run directories: what a start resumes from and says, or the line that refuses it."""

import os
import re
import shutil

import numpy as np
import pytest

from mzpipe.errors import ExitCode, MzpipeError
from mzpipe.launch import train as module
from mzpipe.launch.train import train
from mzpipe.runs.checkpoint import Checkpoint, CheckpointStore
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runs.last_moment import LastMoment
from mzpipe.runs.scores import Evaluation, ScoresFile
from tests.launch.fakes import Screen
from tests.launch.journals import make_journal
from tests.tiny import tiny_profile
from tests.unchecked import save_unchecked

STEPS = (10, 20, 30)
REFUSED = r": restore .*checkpoints, or move the run directory away, or give another --run-dir$"


class Prepared(Exception):
    """The run would have been started."""


@pytest.fixture
def run(tmp_path, shared_memory, monkeypatch):
    """The directory of a session that ended at learner step 30."""

    def prepare(*_):
        raise Prepared

    monkeypatch.setattr(module, "prepare", prepare)
    run = RunDirectory(tmp_path / "run")
    for steps in STEPS:
        state = {"env_steps": 10 * steps, "learner_steps": steps, "weights_version": 1, "game": "CartPole-v1"}
        checkpoint = Checkpoint({"weight": np.full(3, steps, np.float32)}, {}, state)
        CheckpointStore(run.checkpoints).save(f"step_{steps:08d}", checkpoint, pointer="latest")
    save_profile(tiny_profile(), run.profile)
    ScoresFile(run.scores).append(Evaluation(1, 10, 300, 20.0, 0.0, 2))
    make_journal(run.journal, records=5)
    with run.locked():  # makes logs and the lock
        pass
    return run


def latest(run):
    return run.checkpoints / "latest"


def replace_latest(run, text):
    latest(run).write_text(text)


def link_latest(run):
    latest(run).unlink()
    latest(run).symlink_to("nowhere")


def make_latest_a_directory(run):
    latest(run).unlink()
    latest(run).mkdir()
    (latest(run) / "kept").touch()


def make_latest_a_pipe(run):
    latest(run).unlink()
    os.mkfifo(latest(run))


def damage(run, *steps, file="weights.safetensors"):
    for number in steps:
        (run.checkpoints / f"step_{number:08d}" / file).write_bytes(b"damaged")


def exchange(run, make, file="weights.safetensors"):
    path = run.checkpoints / "step_00000030" / file
    path.unlink()
    make(path)


def exchange_latest(run, make):
    latest(run).unlink()
    make(latest(run))


def link_endless(path):
    path.symlink_to("/dev/zero")


def make_huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def write_manifest(run, text):
    (run.checkpoints / "step_00000030" / "manifest.json").write_text(text)


def forge_state(run):
    """Saves a whole checkpoint with a word in place of a count."""
    state = {"env_steps": "many", "learner_steps": 30, "weights_version": 1}
    save_unchecked(CheckpointStore(run.checkpoints), "step_00000030", Checkpoint({}, {}, state), pointer="latest")


def empty(run):
    for path in (run.checkpoints, run.journal):
        shutil.rmtree(path)
    run.scores.unlink()


def only(run, name):
    """Removes every trace of training but one."""
    kept = getattr(run, name)
    kept.rename(run.path / "kept")
    for path in (run.checkpoints, run.journal):
        shutil.rmtree(path, ignore_errors=True)
    run.scores.unlink(missing_ok=True)
    (run.path / "kept").rename(kept)


def only_a_pointer(run):
    empty(run)
    run.checkpoints.mkdir()
    replace_latest(run, "step_00000030")


def only_counts(run):
    """Leaves what a run without journal and evaluations has when its checkpoints are lost."""
    empty(run)
    with run.locked() as locked:
        locked.remember(LastMoment(env_steps=300, inserted=300, learner_steps=30, in_flight=0))


def begin_only(run):
    """Leaves the directory as a session does that is stopped while the learner still compiles."""
    empty(run)
    make_journal(run.journal, records=0)


RESUMED = [
    ("as it was", lambda run: None, None, 30),
    ("latest removed", lambda run: latest(run).unlink(), r"latest: missing", 30),
    ("latest empty", lambda run: replace_latest(run, ""), r"latest: empty", 30),
    ("latest blank", lambda run: replace_latest(run, " \n"), r"latest: empty", 30),
    (
        "latest names nothing",
        lambda run: replace_latest(run, "step_00000077"),
        r"latest: names 'step_00000077', whi",
        30,
    ),
    ("latest is rubbish", lambda run: latest(run).write_bytes(bytes(range(256)) * 40), r"latest: names '", 30),
    (
        "latest names the directory",
        lambda run: replace_latest(run, "."),
        r"latest: names '.', which does not exist",
        30,
    ),
    (
        "latest names another",
        lambda run: replace_latest(run, "../checkpoints/step_00000010"),
        r"latest: names '../",
        30,
    ),
    ("latest a dangling link", link_latest, r"latest: leads to no file", 30),
    ("latest a directory", make_latest_a_directory, r"latest: a directory", 30),
    ("latest a pipe", make_latest_a_pipe, r"latest: leads to no file", 30),
    ("latest names an older one", lambda run: replace_latest(run, "step_00000010"), None, 10),
    ("the newest damaged", lambda run: damage(run, 30), r"step_00000030/weights.safetensors: damaged: SHA-256", 20),
    (
        "its state damaged",
        lambda run: damage(run, 30, file="state.msgpack"),
        r"state.msgpack: damaged: SHA-256",
        20,
    ),
    (
        "its manifest damaged",
        lambda run: damage(run, 30, file="manifest.json"),
        r"damaged checkpoint: .*manifest.json: not JSON",
        20,
    ),
    ("its state forged", forge_state, r"step_00000030: damaged checkpoint: its env_steps is 'many', not a count", 20),
    (
        "its weights a pipe",
        lambda run: exchange(run, os.mkfifo),
        r"30: damaged check.*weights.safetensors: a pipe, ",
        20,
    ),
    (
        "its weights without an end",
        lambda run: exchange(run, link_endless),
        r"weights.safetensors: a device, where",
        20,
    ),
    (
        "its weights of 1 TiB",
        lambda run: exchange(run, make_huge),
        r"weights.safetensors: 1099511627776 bytes, at m",
        20,
    ),
    (
        "its manifest a pipe",
        lambda run: exchange(run, os.mkfifo, "manifest.json"),
        r"manifest.json: a pipe, where a",
        20,
    ),
    (
        "its manifest of 1 TiB",
        lambda run: exchange(run, make_huge, "manifest.json"),
        r"manifest.json: 1099511627776 b",
        20,
    ),
    ("its manifest a list", lambda run: write_manifest(run, "[]"), r"damaged checkpoint: manifest.json: TypeError", 20),
    ("its manifest empty", lambda run: write_manifest(run, "{}"), r"damaged checkpoint: manifest.json: KeyError", 20),
    ("its manifest newer", lambda run: write_manifest(run, '{"format": 9, "files": {}}'), r"damaged checkpoint: ", 20),
    ("latest of 1 TiB", lambda run: exchange_latest(run, make_huge), r"latest: too large", 30),
    ("latest without an end", lambda run: exchange_latest(run, link_endless), r"latest: leads to no file", 30),
    ("best damaged", lambda run: (run.checkpoints / "best").write_bytes(bytes(range(256))), None, 30),
    ("best a pipe", lambda run: os.mkfifo(run.checkpoints / "best"), None, 30),
    (
        "run.lock forged",
        lambda run: (run.path / "run.lock").write_text('{"runtime_directory": 5, "last": {}}'),
        None,
        30,
    ),
    ("two damaged", lambda run: damage(run, 20, 30), r"step_00000030/weights.safetensors: damaged", 10),
    ("removed and damaged", lambda run: (latest(run).unlink(), damage(run, 30)), r"latest: missing", 20),
]


@pytest.mark.parametrize(("harm", "fault", "steps"), [pytest.param(*row[1:], id=row[0]) for row in RESUMED])
def test_train_resumes_from_the_newest_whole_checkpoint_and_says_why(run, harm, fault, steps):
    harm(run)
    screen = Screen()
    with pytest.raises(Prepared):
        train(tiny_profile("stop.learner_steps=99"), run, screen)
    if fault:
        line = screen.lines.pop(0)
        assert re.search(f"{fault}.*: resuming from step_{steps:08d}, the newest whole checkpoint$", line)
    assert screen.lines[0] == f"{run.path}: resuming at env step {10 * steps}, learner step {steps}"


@pytest.mark.parametrize(("harm", "fault", "steps"), [pytest.param(*row[1:], id=row[0]) for row in RESUMED])
def test_train_mends_latest_once_it_can_no_longer_be_refused(run, harm, fault, steps):
    """A refused command changes nothing; one that has nothing left to do ends with a line that names the latest."""
    harm(run)
    outcome = train(tiny_profile("stop.learner_steps=10"), run, Screen())
    assert outcome.exit_code == ExitCode.FINISHED
    assert CheckpointStore(run.checkpoints).load("latest").state["learner_steps"] == steps
    if fault == "latest: a directory":
        assert (run.checkpoints / "latest.directory" / "kept").is_file()


NOTHING_LEFT = r"latest: missing: no checkpoint to resume from, though .*run holds "
REFUSALS = [
    (
        "all damaged",
        lambda run: damage(run, *STEPS),
        r"step_00000030/weights.safetensors: damaged: .* holds 3 step_\*, latest, scores.csv .*",
    ),
    (
        "all damaged, latest removed",
        lambda run: (latest(run).unlink(), damage(run, *STEPS)),
        r"latest: missing; .*step_00000030/weights.safetensors: damaged: .* holds 3 step_\*, scores.csv .*",
    ),
    (
        "no checkpoints",
        lambda run: shutil.rmtree(run.checkpoints),
        NOTHING_LEFT + "scores.csv with scores, a journal with transitions",
    ),
    ("scores alone", lambda run: only(run, "scores"), NOTHING_LEFT + "scores.csv with scores"),
    ("a journal alone", lambda run: only(run, "journal"), NOTHING_LEFT + "a journal with transitions"),
    ("counts alone", only_counts, NOTHING_LEFT + "a run.lock that has counted moves"),
    ("a pointer alone", only_a_pointer, r"latest: names 'step_00000030', which does not exist: .* holds latest"),
]


@pytest.mark.parametrize(("harm", "text"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS])
def test_train_refuses_to_begin_over_what_training_left_and_touches_nothing(run, harm, text):
    harm(run)
    before = contents(run.path)
    with pytest.raises(MzpipeError, match=f"{text}{REFUSED}") as caught:
        train(tiny_profile("stop.learner_steps=99"), run, Screen())
    assert caught.value.exit_code == ExitCode.INPUT_OUTPUT
    assert "\n" not in str(caught.value)
    assert contents(run.path) == before


@pytest.mark.parametrize("harm", [empty, begin_only])
def test_train_begins_in_a_directory_whose_session_had_not_trained(run, harm):
    harm(run)
    screen = Screen()
    with pytest.raises(Prepared):
        train(tiny_profile("stop.learner_steps=99"), run, screen)
    assert screen.lines[0] == f"{run.path}: resuming at env step 0, learner step 0"


@pytest.mark.parametrize("harm", [lambda run: shutil.rmtree(run.journal), lambda run: begin_journal(run)])
def test_train_says_that_the_table_starts_empty_when_the_journal_is_gone(run, harm):
    harm(run)
    screen = Screen()
    with pytest.raises(Prepared):
        train(tiny_profile("stop.learner_steps=99"), run, screen)
    empty_table = f"({run.journal} holds no transitions: the replay table starts empty)"
    assert screen.lines[0] == f"{run.path}: resuming at env step 300, learner step 30 {empty_table}"


def begin_journal(run):
    shutil.rmtree(run.journal)
    make_journal(run.journal, records=0)


def contents(directory):
    """The bytes of every file and the target of every link; not the lock, which names the last process that looked."""
    return {
        path.relative_to(directory): path.read_bytes() if path.is_file() else path.is_symlink() and os.readlink(path)
        for path in directory.rglob("*")
        if path.name != "run.lock"
    }
