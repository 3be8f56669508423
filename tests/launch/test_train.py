"""What `train` says and refuses before it starts anything."""

import re

import numpy as np
import pytest

from mzpipe.errors import AlreadyRunningError, CheckpointError, ConfigError, ExitCode, PlanError, UsageError
from mzpipe.launch import plan as plan_module
from mzpipe.launch import train as module
from mzpipe.launch.start import find_start
from mzpipe.launch.train import read_reached, train
from mzpipe.runs.checkpoint import Checkpoint, CheckpointStore
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runs.last_moment import LastMoment
from mzpipe.runs.scores import Evaluation, ScoresFile
from mzpipe.telemetry.reports import Reached
from tests.launch.fakes import Screen
from tests.launch.journals import make_journal
from tests.tiny import tiny_profile
from tests.unchecked import save_unchecked


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def run(tmp_path, shared_memory, monkeypatch):
    """A run directory; nothing may be prepared or started in it."""
    monkeypatch.setattr(module, "prepare", lambda *_: pytest.fail("the run was prepared"))
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def former_session(run):
    """Leaves the files of a session that ended at env step 300, learner step 10 with a mean return of 20."""
    weights = {"weight": np.zeros(3, np.float32)}
    state = {"env_steps": 300, "learner_steps": 10, "weights_version": 1, "game": "CartPole-v1"}
    CheckpointStore(run.checkpoints).save("step_00000010", Checkpoint(weights, {}, state), pointer="latest")
    save_profile(tiny_profile(), run.profile)
    for return_mean in (20.0, 15.0):
        ScoresFile(run.scores).append(Evaluation(1, 10, 300, return_mean, 0.0, 2))
    make_journal(run.journal, records=5)


def test_read_reached_is_nothing_in_a_new_run(run, screen):
    assert find_start(run, screen) is None
    assert read_reached(run, None, None) == Reached(0, 0, None)


@pytest.mark.usefixtures("former_session")
def test_read_reached_gives_steps_and_the_best_evaluation(run, screen):
    assert read_reached(run, find_start(run, screen), None) == Reached(300, 10, 20.0)


@pytest.mark.usefixtures("former_session")
def test_read_reached_counts_the_moves_up_to_a_kill(run, screen):
    start = find_start(run, screen)
    assert read_reached(run, start, LastMoment(450, 420, 10, in_flight=30)) == Reached(450, 10, 20.0, 420)
    assert read_reached(run, start, LastMoment(20, 20, 0, in_flight=0)) == Reached(300, 10, 20.0, 20)


@pytest.mark.usefixtures("former_session")
@pytest.mark.parametrize(
    ("overrides", "reached"),
    [
        (["stop.learner_steps=10"], r"stop.learner_steps=10 was reached \(10\)"),
        (["stop.learner_steps=99", "stop.env_steps=250"], r"stop.env_steps=250 was reached \(300\)"),
        (["stop.learner_steps=99", "stop.return_mean=19.5"], r"stop.return_mean=19.5 was reached \(20\)"),
    ],
)
def test_train_says_so_and_finishes_when_the_run_has_ended_already(run, screen, overrides, reached):
    outcome = train(tiny_profile(*overrides), run, screen, serial=False)
    assert outcome.exit_code == ExitCode.FINISHED
    assert re.fullmatch(f"already finished: {reached}; raise it to continue training", outcome.reason)
    assert screen.lines[0].endswith("resuming at env step 300, learner step 10")


@pytest.mark.usefixtures("former_session")
def test_train_prints_every_changed_setting_and_no_other(run, screen):
    train(
        tiny_profile("learner.batch_size=8", "stop.env_steps=7", "game.max_episode_moves=3"), run, screen, serial=False
    )
    assert screen.lines[1:] == [
        "changed since the last session: game.max_episode_moves 0 -> 3",
        "changed since the last session: learner.batch_size 4 -> 8",
        "changed since the last session: stop.env_steps None -> 7",
    ]


@pytest.mark.usefixtures("former_session")
def test_train_says_so_when_there_is_no_journal_to_resume_from(run, screen):
    train(tiny_profile("replay.journal=false", "stop.env_steps=7"), run, screen, serial=True)
    assert screen.lines[0].endswith(
        "resuming at env step 300, learner step 10 (no journal: the replay table starts empty)"
    )


@pytest.mark.usefixtures("former_session")
def test_train_keeps_the_saved_profile_when_nothing_is_left_to_do(run, screen):
    before = run.profile.read_bytes()
    train(tiny_profile("learner.batch_size=8"), run, screen, serial=False)
    assert run.profile.read_bytes() == before


@pytest.mark.usefixtures("former_session")
def test_train_refuses_a_damaged_checkpoint_before_it_starts(run, screen):
    weights = run.checkpoints / "step_00000010" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"weights.safetensors: damaged: SHA-256 does not match the manifest"):
        train(tiny_profile("stop.learner_steps=99"), run, screen, serial=False)


@pytest.mark.usefixtures("former_session")
def test_train_refuses_a_checkpoint_that_is_not_finite_before_it_starts(run, screen):
    store = CheckpointStore(run.checkpoints)
    loaded = store.load("latest")
    loaded.weights["weight"][0] = np.nan
    save_unchecked(store, "step_00000010", loaded, pointer="latest")
    with pytest.raises(
        CheckpointError, match=r"step_00000010: cannot be used: weight in weights.safetensors is not fi"
    ):
        train(tiny_profile("stop.learner_steps=99"), run, screen, serial=False)


@pytest.mark.usefixtures("former_session")
def test_train_would_prepare_the_run_when_something_is_left_to_do(run, screen):
    with pytest.raises(pytest.fail.Exception, match="the run was prepared"):
        train(tiny_profile("stop.learner_steps=11"), run, screen, serial=False)


def test_train_refuses_an_unknown_game_and_makes_no_directory(run, screen):
    with pytest.raises(ConfigError, match=r"game.name='Pnog': unknown game; did you mean Pong\?"):
        train(tiny_profile("game.name=Pnog"), run, screen, serial=False)
    assert not run.path.exists()


def test_train_refuses_a_plan_that_does_not_fit_and_makes_no_directory(run, screen, monkeypatch):
    monkeypatch.setattr(plan_module, "available_memory_bytes", lambda: 1 << 20)
    with pytest.raises(PlanError, match=r"^memory: the run needs [\d.,]+ MiB, 1.0 MiB are free: lower replay"):
        train(tiny_profile(), run, screen, serial=False)
    assert not run.path.exists()


def test_train_refuses_a_live_run_and_sweeps_nothing(run, screen, shared_memory):
    with run.locked() as locked, locked.runtime(), pytest.raises(AlreadyRunningError):
        train(tiny_profile(), run, screen, serial=False)
    assert screen.lines == []


@pytest.mark.usefixtures("former_session")
def test_train_says_what_it_swept(run, screen, shared_memory):
    with RunDirectory(run.path.with_name("killed")).locked() as locked, locked.runtime() as live:
        name = live.runtime_directory
        kept = shared_memory / "kept"
        shared_memory.joinpath(name).rename(kept)
    kept.rename(name)
    train(tiny_profile(), run, screen, serial=False)
    assert screen.lines[1] == f"removed {name}, left by a run that was killed"


@pytest.mark.usefixtures("former_session")
def test_train_sweeps_what_its_own_killed_session_left(run, screen, shared_memory):
    with run.locked() as locked, locked.runtime() as live:
        name, kept = live.runtime_directory, shared_memory / "kept"
        shared_memory.joinpath(name).rename(kept)
    kept.rename(name)
    train(tiny_profile(), run, screen, serial=False)
    assert f"removed {name}, left by a run that was killed" in screen.lines


def test_train_refuses_to_learn_from_a_run_without_a_journal_or_that_is_live(run, screen, tmp_path):
    offline = (f"replay.from={tmp_path / 'other'}", "reanalyze.fraction=1.0")
    with pytest.raises(UsageError, match=r"replay.from='.*other': .*journal holds no journal to train on"):
        train(tiny_profile(*offline), run, screen, serial=False)
    (tmp_path / "other" / "journal").mkdir(parents=True)
    (tmp_path / "other" / "journal" / "manifest.json").write_text("{}")
    other = RunDirectory(tmp_path / "other")
    with other.locked(), pytest.raises(AlreadyRunningError, match=r"other: is running as pid \d+: stop it first"):
        train(tiny_profile(*offline), run, screen, serial=False)


def test_refuse_live_leaves_what_a_killed_run_wrote_in_its_lock(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.locked() as locked, locked.runtime():
        said = (tmp_path / "run" / "run.lock").read_text()
    (tmp_path / "run" / "run.lock").write_text(said)
    directory.refuse_live()
    assert (tmp_path / "run" / "run.lock").read_text() == said
    RunDirectory(tmp_path / "never").refuse_live()
