"""mzpipe in a script: training, callbacks, what comes back, and what is refused."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import mzpipe
from mzpipe.config import parse_profile
from mzpipe.errors import ConfigError, MzpipeError, UsageError
from mzpipe.runs.checkpoint import CheckpointStore
from tests.pipeline.driver import PROFILE
from tests.trained.runs import make_run

pytestmark = pytest.mark.slow


@pytest.fixture
def train(tmp_path, nothing_left):
    """Trains the tiny profile in one process, or as a pipeline, in a directory of its own."""

    def train(serial=True, **options):
        options = {"learner": {"checkpoint_interval": 50}, "evaluator": {"interval_steps": 40}} | options
        options.setdefault("stop", {"learner_steps": 120})
        return mzpipe.train(parse_profile(PROFILE), tmp_path / "run", serial=serial, **options)

    return train


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "pipeline"])
def test_train_calls_back_and_returns_a_run_that_plays(train, serial):
    evaluations, checkpoints = [], []
    run = train(serial, on_evaluation=evaluations.append, on_checkpoint=checkpoints.append)
    assert run.reason == "stop.learner_steps=120 reached"
    assert run.scores and evaluations == run.scores
    assert checkpoints[-1].name == "step_00000120" and checkpoints[-1] in run.checkpoints
    assert run.profile.stop.learner_steps == 120
    assert run.player().act(np.zeros(4, np.float32)).action in (0, 1)
    assert mzpipe.Run(run.path).scores == run.scores


def test_train_begins_with_the_weights_of_another_run(train, tmp_path):
    source = make_run(tmp_path / "source", "network.hidden_size=16", "network.value_support_size=20")
    run = train(serial=False, learner={"init_from": str(source)}, stop={"learner_steps": 2})
    begun, given = (
        CheckpointStore(path / "checkpoints").load(name) for path, name in ((run.path, "0"), (source, "30"))
    )
    assert all((begun.weights[name] == given.weights[name]).all() for name in given.weights)


def test_train_stops_when_a_callback_returns_true(train):
    def enough(evaluation):
        return True

    run = train(stop={"learner_steps": 100_000}, on_evaluation=enough)
    assert run.reason == "stopped by enough"
    assert len(run.scores) >= 1 and run.checkpoints


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "pipeline"])
def test_train_saves_the_run_before_it_raises_the_error_of_a_callback(train, tmp_path, serial):
    def wrong(evaluation):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(serial, stop={"learner_steps": 100_000}, on_evaluation=wrong)
    assert mzpipe.Run(tmp_path / "run").checkpoints


def test_train_raises_keyboard_interrupt_once_the_run_is_saved(train, tmp_path):
    saved = []

    def interrupt(path):
        if not saved:
            os.kill(os.getpid(), signal.SIGINT)
        saved.append(path)

    with pytest.raises(KeyboardInterrupt, match="draining and saving"):
        train(stop={"learner_steps": 100_000}, on_checkpoint=interrupt)
    assert len(saved) == 2 and saved[-1] in mzpipe.Run(tmp_path / "run").checkpoints
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_train_resumes_a_run(train, tmp_path):
    train()
    run = train(stop={"learner_steps": 160})
    assert run.checkpoints[-1].name == "step_00000160"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"learner": {"batch_sise": 8}}, ConfigError, "learner.batch_sise: unknown field"),
        ({"learner": {"batch_size": 0}}, ConfigError, "learner.batch_size=0"),
        ({"ray": "auto", "serial": False}, UsageError, "cluster.pods=0: set it to the number of pods"),
        ({"seed": {1, 2}}, ConfigError, r"seed=\{1, 2\}: a profile cannot hold a set"),
        ({"game": {"name": "CartPol-v1"}}, MzpipeError, "did you mean"),
    ],
)
def test_train_refuses_settings_before_it_makes_a_directory(train, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        train(**options)
    assert not (tmp_path / "run").exists()


def test_train_refuses_another_thread():
    found = []

    def call():
        with pytest.raises(UsageError, match="main thread") as raised:
            mzpipe.train("cartpole")
        found.append(raised)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert found


def test_run_refuses_a_directory_without_a_run(tmp_path):
    with pytest.raises(UsageError, match=r"profile\.toml|no run"):
        mzpipe.Run(tmp_path)


def test_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        mzpipe.trian  # noqa: B018


def test_search_alone_loads_neither_training_nor_torch():
    code = "import sys, mzpipe.search; sys.exit(any(name in sys.modules for name in ('torch', 'zmq', 'mzpipe.api')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
