"""`--serial`: the same agents in one process, repeatable bit for bit."""

import hashlib

import pytest

from tests.runs.driver import PROFILE, mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def serial_run(tmp_path, name, seed):
    profile = tmp_path / "tiny.toml"
    profile.write_text(PROFILE)
    sets = ["--set", f"seed={seed}", "--set", "stop.learner_steps=200", "--set", "evaluator.interval_steps=50"]
    result = mzpipe("train", profile, "--run-dir", tmp_path / name, "--serial", *sets)
    assert result.returncode == 0, result.stderr
    checkpoint = tmp_path / name / "checkpoints" / (tmp_path / name / "checkpoints" / "latest").read_text()
    files = [checkpoint / "weights.safetensors", checkpoint / "optimizer.safetensors", checkpoint / "state.msgpack"]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return [*digests, (tmp_path / name / "scores.csv").read_text()]


def test_serial_runs_of_one_seed_are_identical_and_of_another_differ(tmp_path):
    first, second = serial_run(tmp_path, "first", 3), serial_run(tmp_path, "second", 3)
    assert first == second
    assert serial_run(tmp_path, "third", 4)[0] != first[0]
