"""A pod on a node, without Ray: its keeper makes the key, starts it, and stops it when whoever placed it is gone."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mzpipe.cluster import keeper
from mzpipe.cluster.identity import code_identity
from mzpipe.cluster.keys import new_head_keys
from mzpipe.cluster.node import Ended, PodNode
from mzpipe.errors import InputOutputError
from tests.processes import alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
HEAD = new_head_keys().public
PROGRAM = "tests.cluster.stand_in_pod"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Waits for what the stand-in was told; temporary files go to a folder of the test's own, empty after."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "told").mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def wait(number=1):
        wait_until(lambda: len(list((tmp_path / "told").glob("*.json"))) >= number, 60.0, "the pod is started")
        return [json.loads(path.read_text()) for path in sorted((tmp_path / "told").glob("*.json"))]

    yield wait
    wait_until(lambda: not list(scratch.iterdir()), 20.0, "no temporary file is left")


@pytest.fixture
def node(told):
    node = PodNode()
    yield node
    node.stop()


def started(node, tmp_path, end):
    public = node.make_key(3, HEAD)
    node.start("127.0.0.1:7000", [PROGRAM, str(tmp_path / "told"), end])
    return public


def test_facts_of_a_node(node):
    facts = node.facts()
    assert facts.code == code_identity() and facts.memory_bytes > 0 and facts.shared_bytes > 0


def test_pod_gets_its_address_and_a_key_whose_secret_stays_on_the_node(node, tmp_path, told):
    public = started(node, tmp_path, "play")
    (pod,) = told()
    assert (pod["address"], pod["pod"], pod["public"]) == ("127.0.0.1:7000", 3, public)
    assert stat.S_IMODE(os.stat(pod["key"]).st_mode) == 0o600
    secret = json.loads(Path(pod["key"]).read_text())["secret"]
    for process in (pod["pid"], pod["parent"]):
        for name in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
    assert node.look() is None


def test_keeper_is_no_child_of_the_worker(node, tmp_path, told):
    started(node, tmp_path, "play")
    (pod,) = told()
    status = Path(f"/proc/{pod['parent']}/status").read_text()
    assert f"PPid:\t{os.getpid()}\n" not in status


def test_stop_ends_the_pod_in_order(node, tmp_path, told):
    started(node, tmp_path, "play")
    told()
    assert node.stop() == Ended(143, "stopped in order")


def test_end_of_a_pod_comes_with_its_last_line(node, tmp_path, told):
    started(node, tmp_path, "2")
    told()
    assert node.look(60.0) == Ended(2, "a pod, 3")


def test_killed_pod_is_told(node, tmp_path, told):
    started(node, tmp_path, "play")
    (pod,) = told()
    os.kill(pod["pid"], signal.SIGKILL)
    assert node.look(60.0) == Ended(-9, "a pod, 3")


def test_killed_keeper_takes_the_pod_with_it(node, tmp_path, told):
    started(node, tmp_path, "play")
    (pod,) = told()
    os.kill(pod["parent"], signal.SIGKILL)
    with pytest.raises(InputOutputError, match="keeper was killed, and the pod with it"):
        node.look(60.0)
    wait_until(lambda: not alive(pod["pid"]), 10.0, "the pod ends")
    keeper.sweep_leftovers()  # as the next start on the node does


def test_stubborn_pod_is_killed(node, tmp_path, told, monkeypatch):
    started(node, tmp_path, "stubborn")
    (pod,) = told()
    assert node.stop() == Ended(-9, "a pod, 3")
    assert not alive(pod["pid"])


def test_nothing_is_left_of_a_key_without_a_pod(node, told):
    node.make_key(0, HEAD)
    assert node.stop() is None


def test_fault_of_the_keeper_is_told(node):
    words = ["printf", '{"fault": "No space left on device"}\n']
    node._keeper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with pytest.raises(InputOutputError, match="No space left on device"):
        node.look(20.0)
    node._keeper.wait()


WORKER = """
import sys, time
from mzpipe.cluster.node import PodNode
node = PodNode()
node.make_key(0, sys.argv[1])
node.start("127.0.0.1:7000", [sys.argv[2], sys.argv[3], "play"])
time.sleep(600)
"""


def test_pod_is_stopped_in_order_when_the_worker_is_killed(tmp_path, told):
    worker = subprocess.Popen([sys.executable, "-c", WORKER, HEAD, PROGRAM, str(tmp_path / "told")])
    (pod,) = told()
    worker.kill()
    worker.wait()
    wait_until(lambda: not alive(pod["pid"]) and not alive(pod["parent"]), 20.0, "pod and keeper end")
