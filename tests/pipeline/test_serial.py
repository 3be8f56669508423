"""`--serial`: the same agents in one process, repeatable bit for bit."""

import hashlib
import json
import shutil

import pytest

from mzpipe.ipc.columns import named
from mzpipe.replay.journal import JournalLayout, read_journal
from tests.pipeline.driver import PROFILE, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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


def begins_segments_beyond_its_border(run):
    """Whether the run has come to a border and journals what came after."""
    segments = {path.name for path in (run.directory / "journal").glob("*.mzj")}
    return (run.directory / "border" / "border.json").exists() and any(
        not (run.directory / "border" / name).exists() for name in segments
    )


def killed_beyond_the_border(start, *sets):
    run = start(*sets, name="killed/run", extra=["--serial"])
    wait_until(lambda: begins_segments_beyond_its_border(run), 90, "a border at learner step 300")
    assert run.process.poll() is None
    run.process.kill()
    run.process.wait(10)
    return run


def resume(run, *sets):
    words = [word for override in sets for word in ("--set", override)]
    result = mzpipe("train", run.profile, "--run-dir", run.directory, "--serial", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.replace("\n", " ")


EXACT = ("stop.learner_steps=600", "learner.checkpoint_interval=300", "replay.samples_per_insert=1.0")


@pytest.mark.parametrize("sets", [[], ["reanalyze.fraction=0.5"]], ids=["plain", "reanalyze"])
def test_serial_run_killed_after_300_steps_and_resumed_equals_one_of_600(start, sets):
    """Weights, optimiser, counters, replay order and priorities, bit for bit."""
    whole = start(*EXACT, *sets, name="whole/run", extra=["--serial"])
    assert whole.wait() == 0
    killed = killed_beyond_the_border(start, *EXACT, *sets)
    assert "exactly as it was at learner step 300" in resume(killed, *EXACT, *sets)
    assert digests(killed.directory) == digests(whole.directory)


def test_serial_run_resumed_without_its_border_is_another_run(start):
    """The control: the journal as the kill left it holds more than there was at learner step 300."""
    whole = start(*EXACT, name="whole/run", extra=["--serial"])
    assert whole.wait() == 0
    killed = killed_beyond_the_border(start, *EXACT)
    shutil.rmtree(killed.directory / "border")
    assert "exactly" not in resume(killed, *EXACT)
    assert digests(killed.directory) != digests(whole.directory)


def test_serial_run_says_so_when_its_border_is_not_of_its_checkpoint(start):
    run = start("stop.learner_steps=20", extra=["--serial"])
    assert run.wait() == 0
    record = run.directory / "border" / "border.json"
    assert json.loads(record.read_text())["learner_steps"] == 20
    record.write_text(json.dumps({"learner_steps": 10, "env_steps": 5}))
    assert "though not exactly as it would have" in resume(run, "stop.learner_steps=30")
    record.write_text("{")
    result = mzpipe("train", run.profile, "--run-dir", run.directory, "--serial", "--set", "stop.learner_steps=40")
    assert result.returncode == 74
    assert "border.json: cannot be read" in result.stderr
