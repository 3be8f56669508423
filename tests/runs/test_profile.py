"""`mzpipe profile` on real processes: parts that add up to the time, a file with the agreed names, nothing left."""

import json
import os
import signal
import subprocess
import tempfile
import time

import pytest

from tests.runs.driver import PROFILE, START_S, command, mzpipe, runtime_directories, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where the command keeps its run; the test's own."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    tempfile.tempdir = None
    yield directory
    tempfile.tempdir = None


def test_profile_accounts_for_the_time_of_every_process_within_two_percent(profile, scratch, tmp_path):
    before = runtime_directories()
    path = tmp_path / "report.json"
    result = mzpipe("profile", profile, "--seconds", 5, "--json", path, timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(path.read_text())
    assert {name.partition("-")[0] for name in report["processes"]} == {
        "actor",
        "inference",
        "replay",
        "learner",
        "evaluator",
    }
    for name, use in report["processes"].items():
        parts = use["busy"] + use["wait_in"] + use["wait_out"] + use["other"]
        assert parts == pytest.approx(1.0, abs=0.02), name
    assert report["env_steps_per_s"] > 0
    assert report["learner_steps_per_s"] == pytest.approx(report["stages"]["learner forward"]["items_per_s"], rel=0.2)
    assert report["env_steps_per_s"] == pytest.approx(report["stages"]["env step"]["items_per_s"], rel=0.2)
    assert report["bottleneck"] in report["stages"]
    assert report["verdict"] in " ".join(result.stdout.split())
    assert runtime_directories() == before
    assert list(scratch.glob("mzpipe-*")) == []


def test_profile_refuses_too_short_a_time_and_an_unwritable_file_before_it_starts(profile, tmp_path):
    result = mzpipe("profile", profile, "--seconds", 2)
    assert result.returncode == 2
    assert result.stderr == "mzpipe profile: --seconds 2: must be at least 5, or slow stages are not seen\n"
    result = mzpipe("profile", profile, "--json", tmp_path / "none" / "report.json")
    assert result.returncode == 74
    assert "no such directory" in result.stderr


def test_profile_ends_on_ctrl_c_with_130_and_without_a_report(profile, scratch, tmp_path):
    before = runtime_directories()
    with open(tmp_path / "output", "wb") as output:
        arguments = command("profile", profile, "--seconds", 600, "--json", tmp_path / "report.json")
        process = subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: b"processes are ready" in (tmp_path / "output").read_bytes(), START_S, "processes")
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait(10)
    assert "nothing was measured: SIGINT" in (tmp_path / "output").read_text()
    assert not (tmp_path / "report.json").exists()
    assert runtime_directories() == before
    assert list(scratch.glob("mzpipe-*")) == []
