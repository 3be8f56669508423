"""`--serial`: the same agents in one process, repeatable bit for bit."""

import hashlib

import pytest

from mzpipe.ipc.columns import named
from mzpipe.replay.journal import JournalLayout, read_journal
from tests.pipeline.driver import PROFILE, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def serial_run(tmp_path, name, seed, *sets):
    profile = tmp_path / "tiny.toml"
    profile.write_text(PROFILE)
    sets = (f"seed={seed}", "stop.learner_steps=200", "evaluator.interval_steps=50", *sets)
    words = [word for override in sets for word in ("--set", override)]
    result = mzpipe("train", profile, "--run-dir", tmp_path / name, "--serial", *words)
    assert result.returncode == 0, result.stderr
    return digests(tmp_path / name) | {"scores": (tmp_path / name / "scores.csv").read_text()}


def digests(directory):
    """SHA-256 of the latest checkpoint's weights, optimiser and counters, and of what the table held, in its order."""
    checkpoint = directory / "checkpoints" / (directory / "checkpoints" / "latest").read_text()
    files = [checkpoint / name for name in ("weights.safetensors", "optimizer.safetensors", "state.msgpack")]
    files.append(directory / "journal" / "state.mzs")  # priorities
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    trajectories = hashlib.sha256()
    for record in read_journal(directory / "journal", JournalLayout((4,), "float32", 2)).trajectories():
        *identity, trajectory = record
        trajectories.update(repr(identity).encode())
        for array in named(trajectory).values():
            trajectories.update(array.tobytes())
    return found | {"trajectories": trajectories.hexdigest()}


@pytest.mark.parametrize("sets", [(), ("reanalyze.fraction=0.5",)], ids=["plain", "reanalyze"])
def test_serial_runs_of_one_seed_are_identical(tmp_path, sets):
    """Weights, optimiser, counters, replay order, priorities and scores, bit for bit."""
    first, *others = (serial_run(tmp_path, name, 3, *sets) for name in ("first", "second", "third"))
    assert others == [first, first]


def test_serial_runs_of_two_seeds_differ(tmp_path):
    first, second = (serial_run(tmp_path, f"seed{seed}", seed) for seed in (3, 4))
    assert first["weights.safetensors"] != second["weights.safetensors"]
    assert first["trajectories"] != second["trajectories"]


def saved_steps(run):
    """Learner steps of the latest checkpoint; 0 where there is none yet."""
    latest = run.directory / "checkpoints" / "latest"
    return int(latest.read_text().removeprefix("step_")) if latest.exists() else 0


def test_killed_serial_run_resumes_from_its_checkpoint_and_its_journal(start):
    """A folder that a version with exact resume of serial runs made is left alone."""
    run = start("stop.learner_steps=5000", name="killed/run", extra=["--serial"])
    wait_until(lambda: saved_steps(run) > 0, 90, "a checkpoint after the untrained one")
    run.process.kill()
    run.process.wait(10)
    (run.directory / "border").mkdir()
    steps = saved_steps(run)
    words = ("--set", f"stop.learner_steps={steps + 50}")
    result = mzpipe("train", run.profile, "--run-dir", run.directory, "--serial", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    output = result.stdout.replace("\n", " ")
    assert f"learner step {steps:,}" in output
    assert "lost in a kill" in output
