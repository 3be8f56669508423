"""Loggers of whole runs, good and bad ones, with many processes and with one."""

import json

import pytest

import mzpipe
from mzpipe.config import parse_profile
from tests.launch.fakes import Screen
from tests.pipeline.driver import PROFILE

pytestmark = pytest.mark.slow


def test_run_logs_and_resumes_whatever_one_of_its_loggers_does(tmp_path, nothing_left, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "")
    loggers = ["jsonl", "tests.loggers.bad:Dies", "tests.loggers.recorder:Recorder"]
    run_dir, screen = tmp_path / "run", Screen()
    for learner_steps, serial in ((300, False), (400, True)):
        options = {"stop": {"learner_steps": learner_steps}, "telemetry": {"interval_s": 0.1, "loggers": loggers}}
        profile = parse_profile(PROFILE)
        run = mzpipe.train(profile, run_dir, serial=serial, allow_env_import=True, view=screen, **options)
        assert run.reason == f"stop.learner_steps={learner_steps} reached"
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    curves = [line["learner_steps"] for line in lines if "loss/total" in line]
    assert curves == sorted(curves) and curves[-1] >= 400
    first, second = ((run_dir / f"recorded-{number}.txt").read_text().splitlines() for number in (1, 2))
    assert first[0] == "open 0 env_steps loss CartPole-v1"
    assert int(second[0].split()[1]) >= 300
    assert (first[-1], second[-1]) == ("close", "close")
    assert any("Dies ended with exit code 7: the run continues without it" in line for line in screen.lines)
