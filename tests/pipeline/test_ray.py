"""A whole run whose pods Ray places, on a Ray cluster of this machine."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from mzpipe.config import profile_text
from mzpipe.errors import ExitCode
from tests.measure.traces import check_trace, flows
from tests.on_ray.cluster import RayCluster
from tests.pipeline.driver import START_S, Run, clean, mzpipe
from tests.processes import command_line
from tests.tiny import tiny_profile
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`"),
    pytest.mark.usefixtures("nothing_left"),
]


@pytest.fixture(scope="module")
def cluster():
    cluster = RayCluster([4])
    yield cluster
    cluster.close()


@pytest.fixture
def start(cluster, tmp_path):
    """Starts runs whose pods the cluster places."""
    runs = []

    def start(*overrides):
        extra = ("--ray", cluster.address)
        runs.append(Run(tmp_path / "run", "cluster.pods=2", *overrides, extra=extra, env=cluster.settings))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.kill()
            run.process.wait()
    wait_until(lambda: not pods(), 40.0, "no pod is left")
    clean(tmp_path)  # the segments of runs that were killed


def pods():
    """The pods that keepers have started."""
    return [pid for pid in psutil.pids() if {"pod", "--key", "--run-dir"} <= set(command_line(pid))]


def test_run_trains_with_pods_that_ray_places_and_ends_with_them(start):
    run = start()
    for pod in range(2):
        run.wait_for_line(f"pod-{pod} is started on ")
    run.wait_for_line("gateway-0: pod-. has joined", count=2)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == ExitCode.INTERRUPTED, run.output


def test_pods_end_in_order_when_the_run_is_killed(start):
    run = start()
    run.wait_for_line("gateway-0: pod-. has joined", count=2)
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not pods(), 40.0, "the pods end")


def test_cluster_that_is_too_small_leaves_no_run(start):
    run = start("cluster.pods=100")
    assert run.wait() == ExitCode.USAGE
    assert "mzpipe train: --ray: the cluster holds 2 of 100 x 2 cpus" in run.output
    assert not (run.directory / "profile.toml").exists()


def test_profile_measures_the_pods_that_ray_places(cluster, tmp_path):
    command = [sys.executable, "-m", "tests.pipeline.short_profile", tmp_path / "tiny.toml", "--seconds", "5"]
    (tmp_path / "tiny.toml").write_text(profile_text(tiny_profile("cluster.pods=2", "stop.learner_steps=1000000")))
    options = ["--ray", cluster.address, "--json", tmp_path / "report.json", "--trace", tmp_path / "trace.json"]
    done = subprocess.run(
        [*command, *options],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **cluster.settings},
        capture_output=True,
        text=True,
        timeout=10 * START_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pods = json.loads((tmp_path / "report.json").read_text())["pods"]
    assert sorted(pods) == ["pod-0", "pod-1"]
    for pod in pods.values():
        assert pod["env_steps_per_s"] > 0.0
        assert pod["link"]["transitions_per_s"] > 0.0
        assert abs(pod["link"]["clock"]["offset_ns"]) <= pod["link"]["clock"]["error_ns"]  # it is one machine
    found = flows(check_trace((tmp_path / "trace.json").read_text()))
    assert {name for name, _ in found} >= {"simulation", "record"}


def test_doctor_says_what_the_nodes_are(cluster):
    done = mzpipe("doctor", "--ray", cluster.address, env={**os.environ, **cluster.settings}, timeout=START_S)
    assert done.returncode == ExitCode.FINISHED, done.stdout + done.stderr
    lines = done.stdout.splitlines()[-2:]
    assert lines[0].startswith("ok    ray ") and lines[0].endswith(": 1 nodes")
    assert "the same sources" in lines[1] and "Mbit/s through Ray" in lines[1]
