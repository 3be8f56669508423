"""Whole commands on a GPU, the stand-in: runs, their evaluation, their measurement."""

import json
import subprocess
import sys

import pytest

from tests.pipeline.driver import PROFILE, mzpipe
from tests.pipeline.test_death import check_role_is_started_again
from tests.processes import alive
from tests.stand_in_gpu import compiler, read_report, stand_in_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(compiler() is None, reason="the stand-in GPU needs a C++ compiler: g++, or CXX"),
]
ON_GPU = ("inference.devices=[0]", "learner.devices=[0]")
BOTH_HEADS = ("network.value_prefix=true", "network.consistency=true", "network.consistency_projection_size=8")


def train(directory, *sets, report, extra=()):
    """A run of the tiny profile to its end; returns what each of its processes asked of the device."""
    directory.mkdir()
    report.mkdir()
    (directory / "tiny.toml").write_text(PROFILE)
    words = [word for value in (*ON_GPU, *sets) for word in ("--set", value)]
    environment = stand_in_environment(report=report)
    result = mzpipe("train", directory / "tiny.toml", "--run-dir", directory / "run", *words, *extra, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "stop.learner_steps" in result.stdout
    return read_report(report)


def test_train_with_reanalyze_and_two_servers_on_one_gpu_ends_well_and_is_evaluated(tmp_path):
    sets = ("inference.devices=[0,0]", "reanalyze.fraction=0.5", "stop.learner_steps=60", *BOTH_HEADS)
    counts = train(tmp_path / "home", *sets, report=tmp_path / "report")
    used = {name for name, count in counts.items() if count.launches}
    assert {"inference-0", "inference-1", "learner-0"} <= used
    assert not used & {"actor-0", "replay-0", "reanalyze-0", "evaluator-0"}
    assert counts["learner-0"].h2d_async > 60 and counts["learner-0"].h2d_pageable == 0
    (tmp_path / "eval").mkdir()
    words = ("eval", tmp_path / "home/run", "--episodes", 2, "--json", tmp_path / "eval.json")
    result = mzpipe(*words, env=stand_in_environment(report=tmp_path / "eval"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((tmp_path / "eval.json").read_text())


def test_serial_run_on_a_gpu_goes_on_after_its_checkpoints(tmp_path):
    sets = ("learner.checkpoint_interval=30", "stop.learner_steps=75", "learner.publish_interval=10")
    counts = train(tmp_path / "home", *sets, report=tmp_path / "report", extra=["--serial"])
    assert sum(count.launches for count in counts.values()) > 75
    assert {path.name for path in (tmp_path / "home/run/checkpoints").glob("step_*")} >= {"step_00000060"}


def test_server_killed_with_batches_in_the_air_is_started_again_and_the_run_ends_well(start):
    # A batch stays in the air for many laps, so there are nearly always two.
    run = start(*ON_GPU, "topology.lanes_per_actor=4", env=stand_in_environment(patience=20))
    run.wait_ready()
    check_role_is_started_again(run, "inference-0")
    roles = run.roles()
    run.process.terminate()
    assert run.wait() == 143
    assert not any(alive(pid) for pid in roles.values())


def test_profile_measures_a_run_on_a_gpu_and_its_ceilings(tmp_path):
    (tmp_path / "tiny.toml").write_text(PROFILE)
    words = [word for value in ON_GPU for word in ("--set", value)]
    command = [sys.executable, "-m", "tests.pipeline.short_profile", tmp_path / "tiny.toml", "--seconds", "5"]
    report = tmp_path / "report.json"
    result = subprocess.run(
        [*command, "--ceilings", "--json", report, *words],
        capture_output=True,
        text=True,
        timeout=500,
        env=stand_in_environment(),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    fields = json.loads(report.read_text())
    assert set(fields["ceilings"]["roles"]) == {"actor", "inference", "learner", "replay"}
    assert set(fields["devices"]) == {"inference", "learner"}
    assert all(part > 0.0 for use in fields["devices"].values() for part in use.values())
    assert "inference: " in result.stdout and "launching" in result.stdout


def test_bench_gpu_kills_processes_of_a_run_and_finds_nothing_left(tmp_path):
    path = tmp_path / "gpu.json"
    result = mzpipe("bench", "gpu", "kills", "--small", "--json", path, timeout=550, env=stand_in_environment())
    assert result.returncode == 0, result.stdout + result.stderr
    sections = json.loads(path.read_text())["sections"]
    assert list(sections) == ["kernels", "kills"]
    learner, server, end = (line["numbers"] for line in sections["kills"]["lines"])
    assert (learner["restarts"], server["restarts"]) == (1, 1)
    assert (end["exit_code"], end["directories_left"]) == (0, 0)
