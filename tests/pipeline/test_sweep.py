"""A sweep of real runs that is killed, and goes on."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.pipeline.driver import START_S, command, mzpipe
from tests.processes import alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
LIMITS = ("evaluator.interval_steps=40", "stop.learner_steps=160", "learner.checkpoint_interval=40")


def test_sweep_that_is_killed_leaves_no_process_and_resumes_its_runs(profile, tmp_path):
    directory, sets = tmp_path / "sweep", [word for limit in LIMITS for word in ("--set", limit)]
    words = ["sweep", profile, "--seeds", "0,1", "--run-dir", directory, "--jobs", "1", *sets]
    with open(tmp_path / "output", "wb") as output:
        sweep = subprocess.Popen(command(*words), stdout=output, stderr=output)
    try:
        wait_until((directory / "trial-0000/checkpoints/latest").exists, START_S, "a checkpoint")
        runs = psutil.Process(sweep.pid).children(recursive=True)
    finally:
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
    wait_until(lambda: not any(alive(run.pid) for run in runs), 5.0, "every process of the run gone")
    ended = mzpipe(*words, env={**os.environ, "COLUMNS": "200"})
    assert ended.returncode == 0, ended.stderr
    assert "trial-0000: had not ended, is taken up again" in ended.stdout
    assert "resuming at env step" in (directory / "trial-0000.log").read_text()
    assert "all 2 trials have ended" in ended.stdout and "CartPole-v1" in ended.stdout
    assert json.loads((directory / "sweep.json").read_text())["objective"] == "best"
    assert {path.name for path in Path(directory).glob("trial-*/") if path.is_dir()} == {"trial-0000", "trial-0001"}
