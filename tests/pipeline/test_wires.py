"""A run and its pod on two nodes of the laboratory, over a wire that is slow, lossy and cut."""

import re
import time
from pathlib import Path

import pytest

from mzpipe.cluster.keys import pod_key_path
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.runs.directory import RunDirectory
from tests.laboratory.network import Network
from tests.pipeline.driver import PROFILE, START_S, clean, command
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("nothing_left")]
GATEWAY, REPLAY = Member(Role.GATEWAY, 0), Member(Role.REPLAY, 0)
# Less than the silence after which either end gives the other up.
CUT_S = 4.0


@pytest.fixture
def network(tmp_path):
    with Network(2, seconds=850.0) as network:
        yield network
    clean(tmp_path)  # what the killed programs have left


def program(network, node, output, *words):
    with open(output, "wb") as file:
        return network.popen(node, command(*words), stdout=file, stderr=file)


def wait_for(process, output, pattern):
    """The match of a pattern in what the program prints."""

    def found():
        assert process.poll() is None, output.read_text()
        return re.search(pattern, output.read_text())

    wait_until(found, START_S, f"{pattern!r} in {output.name}")
    return re.search(pattern, output.read_text())


def test_link_goes_on_over_a_slow_lossy_wire_and_after_its_cable_was_cut(network, tmp_path):
    profile, run, told = tmp_path / "tiny.toml", tmp_path / "run", Path(tmp_path / "head.txt")
    profile.write_text(f'{PROFILE}[cluster]\npods = 1\nlisten = "{network.address(0)}:0"\n')
    network.set(1, delay_ms=10.0, loss=0.01, mbit=50.0)
    head = program(network, 0, told, "train", profile, "--run-dir", run)
    address = wait_for(head, told, r"pods join with: mzpipe pod (\S+) --key")[1]
    pod_told = tmp_path / "pod.txt"
    key = pod_key_path(run, 0)
    pod = program(network, 1, pod_told, "pod", address, "--key", key, "--run-dir", tmp_path / "pod")
    plane = DataPlane.attach(Path(RunDirectory(run).live().runtime_directory))

    def arrived():
        assert head.poll() is None and pod.poll() is None, told.read_text() + pod_told.read_text()
        return plane.counters(GATEWAY).get("pod_transitions")

    wait_until(lambda: arrived() > 0, START_S, "transitions of the pod")
    network.cut(1)
    time.sleep(CUT_S)
    network.mend(1)
    before = arrived()
    wait_until(lambda: arrived() > before, START_S, "transitions after the cut")
    assert plane.counters(GATEWAY).get("pod_lost") == 0
    assert plane.counters(REPLAY).get("refused") == 0
