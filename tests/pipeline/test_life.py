"""A run from start to end: what it prints, what it leaves, how it resumes."""

import json
import re

import pytest

from mzpipe.runs.scores import read_scores
from tests.pipeline.driver import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: (its directory, its output)."""
    from tests.pipeline.driver import Run

    run = Run(tmp_path_factory.mktemp("life") / "run", "stop.learner_steps=500", "evaluator.interval_steps=50")
    try:
        assert run.wait() == 0, run.output
        return run
    finally:
        run.kill() if run.process.poll() is None else None


def test_run_exits_0_and_leaves_its_files(finished):
    directory = finished.directory
    assert (directory / "profile.toml").is_file()
    assert (directory / "checkpoints" / "latest").read_text() == "step_00000500"
    assert list((directory / "tensorboard").glob("events.out.tfevents.*"))
    assert {path.name for path in (directory / "logs").iterdir()} == {
        f"{role}-0.log" for role in ("actor", "inference", "replay", "learner", "evaluator")
    }
    assert read_scores(directory / "scores.csv")[0].episodes == 2
    assert finished.roles() == {}


def test_run_says_what_runs_where_and_how_large_every_segment_is(finished):
    output = finished.output
    assert re.search(r"compiling kernels: \d+\.\d s|rehearsed before on this machine: kernels are compiled", output)
    assert "game      CartPole-v1" in output
    for identity in ("learner-0", "inference-0", "replay-0", "actor-0", "evaluator-0"):
        assert re.search(rf"process   {identity} +cpu +any core, 1 thread", output)
    for segment in ("lanes-0", "trajectory-0", "batch-0", "weights", "counters", "doorbells", "errors", "stop"):
        assert re.search(rf"segment   {segment} +[\d.,]+ MiB", output)
    assert "stop.learner_steps=500 reached" in output
    assert "tensorboard --logdir" in output
    assert re.search(r"checkpoint .*step_00000500 +\(latest\)", output)


def test_eval_scores_the_checkpoint_and_writes_json(finished, tmp_path):
    result = mzpipe(
        "eval", finished.directory, "--episodes", 3, "--checkpoint", "latest", "--json", tmp_path / "e.json"
    )
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "e.json").read_text())
    assert {"return_mean", "return_std", "episodes", "returns", "protocol", "weights_version", "env_steps"} <= set(
        scores
    )
    assert scores["episodes"] == len(scores["returns"]) == 3
    assert scores["learner_steps"] == 500
    assert "step_00000500: mean return" in result.stdout.replace("\n", " ")


def test_eval_names_the_fault_when_a_checkpoint_is_missing_or_damaged(finished, tmp_path):
    result = mzpipe("eval", finished.directory, "--checkpoint", "step_9")
    assert result.returncode == 74
    assert "step_9: no such checkpoint; there are: " in result.stderr
    result = mzpipe("eval", tmp_path / "nothing")
    assert result.returncode == 2
    assert "no run here" in result.stderr


def test_run_says_that_it_is_finished_already_when_it_is_started_again(finished):
    result = mzpipe("train", finished.profile, "--run-dir", finished.directory, "--set", "stop.learner_steps=500")
    assert result.returncode == 0
    assert "already finished: stop.learner_steps=500 was reached (500)" in result.stdout.replace("\n", " ")


def test_run_resumes_weights_optimiser_and_counters_and_goes_back_when_they_are_damaged(finished):
    """Comes after the tests above, because it resumes their run."""
    arguments = ("train", finished.profile, "--run-dir", finished.directory, "--set", "stop.learner_steps=700")
    resumed = mzpipe(*arguments, "--set", "learner.learning_rate=5e-4")
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(r"resuming at env step [1-9][\d,]*, learner step 500", resumed.stdout)
    assert "changed since the last session: learner.learning_rate 0.001 -> 0.0005" in resumed.stdout
    assert (finished.directory / "checkpoints" / "latest").read_text() == "step_00000700"
    check_damage_is_left_out(finished.directory, ("train", finished.profile, "--run-dir", finished.directory))


def check_damage_is_left_out(directory, arguments):
    weights = directory / "checkpoints" / "step_00000700" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    resumed = mzpipe(*arguments, "--set", "stop.learner_steps=600")
    assert resumed.returncode == 0, resumed.stderr
    fault = "weights.safetensors: damaged: SHA-256 does not match the manifest"
    assert re.search(rf"{fault} .*: resuming from step_00000600, the newest whole checkpoint", resumed.stdout)
    assert "already finished: stop.learner_steps=600 was reached (600)" in resumed.stdout
