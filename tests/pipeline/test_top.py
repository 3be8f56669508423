"""`mzpipe top` on a real run, and on what a kill left of it."""

import os
import re
import signal

import pytest

from tests.pipeline.driver import START_S, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_top_shows_a_live_run_leaves_it_alone_and_shows_it_after_a_kill(start):
    run = start("topology.silence_s=0")  # a stopped process stays
    roles = run.wait_ready()
    run.wait_for_line(r"\| training")
    result = mzpipe("top", run.directory, "--once", "--interval", "1")
    assert result.returncode == 0, result.stderr
    assert float(re.search(r"over the last ([\d.]+)", result.stdout)[1]) >= 1.0
    assert "-bound: " in result.stdout
    os.kill(roles["inference-0"], signal.SIGSTOP)
    result = mzpipe("top", run.directory, "--once", "--interval", "1")
    assert re.search(
        r"inference-0: no progress for [\d.]+ s, after stage .*; it is stopped", " ".join(result.stdout.split())
    )
    assert "-bound: " not in result.stdout
    os.kill(roles["inference-0"], signal.SIGCONT)
    steps = run.learner_steps()
    wait_until(lambda: run.learner_steps() > steps + 50, START_S, "training goes on")
    assert run.roles() == roles
    run.process.kill()
    run.process.wait(10)
    result = mzpipe("top", run.directory)
    assert result.returncode == 0, result.stderr
    assert re.search(r"dead; over its session of 0:0\d:\d\d", result.stdout)
    assert "env steps" in result.stdout
