"""Starts that are refused: one line, exit code 2, nothing started, nothing left."""

import os
import shutil
import subprocess
import sys
from unittest import mock

import pytest

from mzpipe.cli.main import main
from tests.pipeline.driver import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("learner.batchsize=3", "learner.batchsize: unknown field; did you mean learner.batch_size?"),
        ("lerner.batch_size=3", "lerner: unknown section; did you mean learner?"),
        ("learner.batch_size='8'", "learner.batch_size='8': input should be a valid integer"),
        ("learner.batch_size=0", "learner.batch_size=0: input should be greater than or equal to 1"),
        ("game.name=Pnog", "game.name='Pnog': unknown game; did you mean Pong?"),
        ("learner.batch_size", "write it as section.field=value"),
        ("learner.devices=[99]", "device 99: this machine has"),
        ("replay.capacity_bytes=99999999999999", "memory: the run needs"),
        ("topology.trajectory_ring_slots=99999999", "/dev/shm: the run needs"),
        ("network.kind=residual", "network.kind='residual' needs square images"),
    ],
)
def test_train_refuses_in_one_line(profile, tmp_path, capfd, override, text):
    with mock.patch.dict(os.environ):
        code = main(["train", str(profile), "--run-dir", str(tmp_path / "run"), "--set", override])
    said = capfd.readouterr()
    assert code == (75 if "99]" in override else 2), said.err
    assert text in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert "Traceback" not in said.out + said.err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_train_refuses_a_missing_profile_and_names_the_nearest(profile, tmp_path):
    result = mzpipe("train", tmp_path / "tyni.toml")
    assert result.returncode == 2
    assert "tyni.toml: no such profile; did you mean tiny.toml?" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_train_refuses_a_run_name_with_odd_characters(profile, tmp_path):
    result = mzpipe("train", profile, "--run-dir", tmp_path / "-odd name")
    assert result.returncode == 2
    assert "the last part must match" in result.stderr


def test_train_refuses_before_it_starts_anything_when_shared_memory_is_small(profile, tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm"], capture_output=True, text=True
    )
    if probe.returncode != 0:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    train = f"{sys.executable} -m mzpipe.cli.main train {profile} --run-dir {tmp_path / 'run'}"
    script = f"mount -t tmpfs -o size=64k none /dev/shm && {train}; code=$?; ls -A /dev/shm; exit $code"
    result = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=250)
    assert result.returncode == 2, result.stderr
    assert "/dev/shm: the run needs" in result.stderr
    assert "are free" in result.stderr
    assert "compiling" not in result.stdout
    assert "mzpipe" not in result.stdout  # nothing left there


def test_unknown_verb_says_which_there_are():
    result = mzpipe("trian")
    assert result.returncode == 2
    assert "train" in result.stderr


def test_doctor_checks_this_machine():
    result = mzpipe("doctor")
    assert result.returncode == 0, result.stdout
    assert "FAIL" not in result.stdout
    assert "atomics" in result.stdout
