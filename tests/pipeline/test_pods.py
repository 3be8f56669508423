"""Real runs with a pod on this machine: what crosses, what dies, and what is left."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mzpipe.cluster.keys import new_head_keys, new_pod_key, pod_key_path, read_key, write_key
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.runs.directory import RunDirectory
from mzpipe.runs.last_moment import LastMoment
from tests.pipeline.driver import START_S, Run, command, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PODS = ("cluster.pods=1",)
GATEWAY, REPLAY, LEARNER = Member(Role.GATEWAY, 0), Member(Role.REPLAY, 0), Member(Role.LEARNER, 0)


class PodRun(Run):
    """A live `mzpipe pod`."""

    def __init__(self, directory, head):
        self.directory, self.head = Path(directory), head
        self.output_path = self.directory.parent / f"pod-{time.monotonic_ns()}.txt"
        key = pod_key_path(head.directory, 0)
        words = command("pod", address_of(head), "--key", key, "--run-dir", self.directory)
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.seen = set()


def address_of(head):
    head.wait_for_line("pods join with: mzpipe pod")
    return re.search(r"pods join with: mzpipe pod (\S+) --key", head.output)[1]


def count(run, member, name):
    return DataPlane.attach(run.runtime).counters(member).get(name)


def arrived(head):
    return count(head, GATEWAY, "pod_transitions")


@pytest.fixture
def started(tmp_path, nothing_left):
    """A run with a joined pod that has handed over something."""
    runs = []

    def start(*overrides):
        head = Run(tmp_path / "head" / "run", *PODS, *overrides)
        runs.append(head)
        head.wait_for_processes(6)
        runs.append(PodRun(tmp_path / "pod", head))
        wait_until(lambda: arrived(head) > 0, START_S, "transitions of the pod")
        return head, runs[-1]

    start.runs = runs
    yield start
    for run in reversed(runs):
        if run.process.poll() is None:
            run.kill()
            run.process.wait()
    mzpipe("clean", env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})


def more_arrives(head, what):
    before = arrived(head)
    wait_until(lambda: arrived(head) > before, START_S, what)


def test_a_run_with_a_pod_survives_the_death_of_either_end_of_the_link_and_ends_with_it(started):
    head, pod = started()
    os.kill(pod.roles()["uplink-0"], signal.SIGKILL)
    pod.wait_for_line(r"uplink-0 \(pid \d+\) was killed by SIGKILL: it is started again")
    more_arrives(head, "transitions after the uplink's death")
    os.kill(pod.roles()["actor-0"], signal.SIGKILL)
    pod.wait_for_line(r"actor-0 \(pid \d+\) was killed by SIGKILL: it is started again")
    more_arrives(head, "transitions after the actor's death")
    assert count(head, REPLAY, "refused") == 0
    version = count(pod, Member(Role.UPLINK, 0), "weights_version")
    wait_until(lambda: count(pod, Member(Role.UPLINK, 0), "weights_version") > version, START_S, "newer weights")
    head.process.send_signal(signal.SIGINT)
    assert head.wait() == 130
    assert pod.wait() == 0
    assert "pod-0 has left: the run has ended" in head.output
    # What was played is stored, or counted as lost: LastMoment's last number.
    last = LastMoment._make(json.loads((head.directory / "run.lock").read_text())["last"])
    assert last.env_steps == last.inserted + last.in_flight


def test_pods_end_within_ten_seconds_of_their_runs_death_and_a_resumed_run_takes_a_new_one(started):
    head, pod = started()
    os.kill(head.process.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    assert pod.wait() == 74
    assert time.monotonic() - killed_s < 10 + 20  # of which a machine at a load of 20 has taken 5 and more
    assert pod.output.rstrip().endswith(": no word from the run for 8 s: it is gone, or the link is cut")
    resumed = Run(head.directory, *PODS)
    started.runs.append(resumed)
    resumed.wait_for_processes(6)
    again = PodRun(pod.directory, resumed)
    started.runs.append(again)
    more_arrives(resumed, "transitions of the new pod")


def test_a_dead_pod_is_counted_and_done_without_and_its_successor_is_welcome(started):
    head, pod = started()
    os.kill(pod.process.pid, signal.SIGKILL)
    steps = head.learner_steps()
    head.wait_for_line("pod-0 has been silent for 8 s: the run goes on without it")
    wait_until(lambda: head.learner_steps() > steps, START_S, "the run goes on")
    again = PodRun(pod.directory, head)
    started.runs.append(again)
    more_arrives(head, "transitions of the successor")
    runtime = again.runtime
    again.process.send_signal(signal.SIGTERM)
    assert again.wait() == 143
    assert not runtime.exists()
    head.wait_for_line("pod-0 has left: the pod was stopped")


def test_pods_that_cannot_play_are_refused_in_one_line(started, tmp_path):
    head, _pod = started()
    key = read_key(pod_key_path(head.directory, 0))
    cases = {
        "other-run": (
            new_pod_key(0, new_head_keys().public),
            "the key is of another run|does not answer as a run does",
        ),
        "unknown": (new_pod_key(0, key.head_public), "the run does not know this key"),
        "twice": (key, "another process plays with this key"),
    }
    for name, (other, words) in cases.items():
        path = tmp_path / f"{name}.json"
        write_key(path, other)
        result = mzpipe("pod", address_of(head), "--key", path, "--run-dir", tmp_path / name)
        assert result.returncode == {"twice": 3}.get(name, 2), result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert re.search(words, result.stderr), result.stderr
        assert not (tmp_path / name / "profile.toml").exists()
    nowhere = mzpipe("pod", "127.0.0.1:9", "--key", tmp_path / "twice.json", "--run-dir", tmp_path / "nowhere")
    assert nowhere.returncode == 74
    assert "127.0.0.1:9: nothing answers there within 15 s" in nowhere.stderr


def test_a_key_is_in_no_command_line_environment_or_log(started, tmp_path):
    head, pod = started()
    secrets = [read_key(pod_key_path(head.directory, 0)).secret]
    secrets.append(json.loads((head.directory / "cluster" / "head.json").read_text())["secret"])
    texts = [head.output, pod.output]
    for run in (head, pod):
        for pid in [run.process.pid, *run.roles().values()]:
            texts += [Path(f"/proc/{pid}/{name}").read_text(errors="replace") for name in ("cmdline", "environ")]
        texts += [path.read_text() for path in run.directory.glob("logs/*.log")]
        texts += [path.read_text(errors="replace") for path in run.runtime.glob("*.json")]
    assert not any(secret in text for secret in secrets for text in texts)


def test_runs_that_cannot_have_pods_are_refused(tmp_path):
    serial = Run(tmp_path / "run", *PODS, extra=["--serial"])
    assert serial.wait() == 2
    assert "--serial: cluster.pods=1: one process serves no pods: leave one out" in serial.output
    assert not RunDirectory(tmp_path / "run").path.exists()
