"""Real runs that tests/pipeline lacks: the rehearsal's life, a live run seen from outside, `--serial` resumed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mzpipe.ipc.dataplane import DataPlane
from mzpipe.runs.checkpoint import CheckpointStore
from tests.pipeline.driver import PROFILE, START_S, Run, clean
from tests.processes import alive, command_line, descendants, holders
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLONE = Path(__file__).parents[2]
# Makes a profile that no test rehearses to the end, so that no rehearsal of it is remembered.
NEVER_REHEARSED = "network.value_support_size=19"


@pytest.fixture
def start(tmp_path):
    """Starts a run; afterwards kills its processes and removes what it left."""
    runs = []

    def start_run(*overrides, **options):
        runs.append(Run(tmp_path / "run", *overrides, **options))
        return runs[-1]

    yield start_run
    for run in runs:
        if run.process.poll() is None:
            run.kill()
    if runs:
        clean(tmp_path)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A live run for these tests; it has to end well after everything that they did."""
    run = Run(tmp_path_factory.mktemp("live") / "run")
    try:
        run.wait_ready()
        runtime = run.runtime
        yield run
        steps = run.learner_steps()
        wait_until(lambda: run.learner_steps() > steps, START_S, "the run goes on")
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 130
        assert "restarts" not in run.output
        saved = CheckpointStore(run.directory / "checkpoints").load("latest").state["learner_steps"]
        assert saved >= steps
        assert not runtime.exists()
    finally:
        if run.process.poll() is None:
            run.kill()


def rehearsal_of(run):
    """Pid of the run's rehearsal program, once it works on the pipeline."""
    found = []

    def rehearses():
        assert run.process.poll() is None, run.output
        for pid in descendants(run.process.pid) - {run.process.pid}:
            if "mzpipe.launch.rehearsal" in command_line(pid):
                found[:] = [pid]
        return found

    wait_until(rehearses, START_S, "the rehearsal")
    return found[0]


@pytest.mark.alone
def test_rehearsal_is_given_up_when_a_signal_comes(start):
    run = start(NEVER_REHEARSED)
    rehearsal = rehearsal_of(run)
    assert alive(rehearsal)
    os.killpg(run.process.pid, signal.SIGINT)
    sent_s = time.monotonic()
    assert run.wait() == 130
    assert time.monotonic() - sent_s < 2
    assert not alive(rehearsal)
    assert run.output.rstrip().endswith("SIGINT: stopped before training began")
    assert "Traceback" not in run.output


@pytest.mark.alone
def test_rehearsal_ends_when_the_supervisor_is_killed(start):
    run = start(NEVER_REHEARSED)
    rehearsal = rehearsal_of(run)
    death_pipe = run.runtime / "death"
    wait_until(lambda: rehearsal in holders(death_pipe), START_S, "it follows the supervisor")
    assert alive(rehearsal)
    run.process.kill()
    run.process.wait(10)
    wait_until(lambda: not alive(rehearsal), 2, "no rehearsal")


def test_run_ends_with_70_and_says_so_when_the_rehearsal_is_killed(start):
    run = start(NEVER_REHEARSED)
    os.kill(rehearsal_of(run), signal.SIGKILL)
    assert run.wait() == 70
    assert run.output.rstrip().splitlines()[-1] == "mzpipe train: the rehearsal was killed by SIGKILL"


def test_plan_prints_the_size_that_every_segment_file_of_a_live_run_has(live):
    runtime = live.runtime
    printed = dict(re.findall(r"^segment +(\S+) .* ([\d,]+) bytes$", live.output, re.MULTILINE))
    sizes = {name: int(text.replace(",", "")) for name, text in printed.items()}
    assert sizes == {name: (runtime / name).stat().st_size for name in DataPlane.attach(runtime).shape.segments()}
    assert len(sizes) == 11


def test_every_process_has_its_own_group_so_that_ctrl_c_reaches_the_supervisor_alone(live):
    roles = live.roles()
    assert len(roles) == 5
    assert len({os.getpgid(pid) for pid in roles.values()} | {os.getpgid(live.process.pid)}) == 6


def test_role_started_by_hand_is_refused_at_once_when_the_supervisor_starts_it_itself(live):
    before = live.roles()
    result = subprocess.run(
        [CLONE / "bin" / "mzpipe-learner", live.directory], capture_output=True, text=True, timeout=250
    )
    assert result.returncode == 2
    assert result.stderr == (
        f"mzpipe role: learner-0: the supervisor (pid {live.process.pid}) starts this role itself: "
        "start the run with --set topology.external=learner\n"
    )
    assert live.roles() == before


def test_clean_leaves_a_live_run_alone(live, tmp_path):
    runtime = live.runtime
    before = {path.name for path in runtime.iterdir()}
    result = clean(tmp_path)
    assert result.returncode == 0
    assert runtime.name not in result.stdout
    assert {path.name for path in runtime.iterdir()} == before


def test_serial_run_works_from_any_directory_and_resumes_its_optimiser(tmp_path):
    (tmp_path / "tiny.toml").write_text(PROFILE)
    first = serial(tmp_path, "stop.learner_steps=40")
    assert first.returncode == 0, first.stderr
    saved = adam_steps(tmp_path / "run")
    assert saved.tolist() == [learner_steps(tmp_path / "run")] * len(saved)
    second = serial(tmp_path, "stop.learner_steps=90")
    assert second.returncode == 0, second.stderr
    resumed = adam_steps(tmp_path / "run")
    assert resumed.min() >= 90  # a fresh optimiser would have counted from 0
    assert resumed.tolist() == [learner_steps(tmp_path / "run")] * len(resumed)
    assert re.search(rf"learner step {int(saved[0])}\b", second.stdout)


def serial(directory, override):
    """Runs serially in a directory from which Python alone would not find mzpipe."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, CLONE / "bin" / "mzpipe", "train", "tiny.toml", "--run-dir", "run", "--serial"]
    return subprocess.run(
        [*command, "--set", override], cwd=directory, env=environment, capture_output=True, text=True, timeout=120
    )


def latest(run):
    return run / "checkpoints" / (run / "checkpoints" / "latest").read_text()


def learner_steps(run):
    return CheckpointStore(run / "checkpoints").load("latest").state["learner_steps"]


def adam_steps(run):
    """The step that Adam keeps for each parameter."""
    tensors = load_file(latest(run) / "optimizer.safetensors")
    return np.concatenate([np.atleast_1d(array) for name, array in tensors.items() if name.endswith("step")])
