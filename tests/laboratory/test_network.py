"""The laboratory itself: its wires are as slow, lossy and cut as asked for, and it leaves nothing."""

import os
import subprocess
import sys

import pytest

from tests.laboratory.network import Network
from tests.processes import alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

# Echoes datagrams to whoever sent them.
ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 7000))
print("bound", flush=True)
while True:
    server.sendto(*server.recvfrom(2048))
"""
# Sends 40 datagrams and prints the round trips in milliseconds of those that came back.
ASK = """
import socket, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.3)
for number in range(40):
    began = time.monotonic()
    client.sendto(b"%d" % number, (sys.argv[1], 7000))
    try:
        while client.recv(2048) != b"%d" % number: pass
    except TimeoutError:
        continue
    print(1e3 * (time.monotonic() - began), flush=True)
"""
SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], 7001))
print("bound", flush=True)
client, _ = server.accept()
while client.recv(1 << 16): pass
client.send(b"x")
"""
# Prints the seconds that 500 kB take over TCP.
SOURCE = """
import socket, sys, time
client = socket.create_connection((sys.argv[1], 7001))
began = time.monotonic()
client.sendall(bytes(500_000))
client.shutdown(socket.SHUT_WR)
client.recv(1)
print(time.monotonic() - began)
"""


@pytest.fixture
def network():
    with Network(2, seconds=60.0) as network:
        yield network


def start(network, code):
    server = network.popen(0, [sys.executable, "-c", code, network.address(0)], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "bound\n"


def ask(network, code):
    client = network.popen(1, [sys.executable, "-c", code, network.address(0)], stdout=subprocess.PIPE, text=True)
    return [float(line) for line in client.communicate(timeout=40)[0].split()]


def test_round_trip_has_twice_the_delay(network):
    start(network, ECHO)
    plain = sorted(ask(network, ASK))
    network.set(1, delay_ms=20.0)
    delayed = sorted(ask(network, ASK))
    assert len(plain) == len(delayed) == 40
    assert plain[20] < 20.0
    assert 40.0 <= delayed[0] < plain[0] + 60.0


def test_lossy_wire_loses_packets(network):
    start(network, ECHO)
    network.set(1, loss=0.3)
    assert 5 <= len(ask(network, ASK)) <= 35  # 0.7 * 0.7 of 40 are 20


def test_wire_has_the_rate_asked_for(network):
    start(network, SINK)
    network.set(1, mbit=4.0)
    (seconds,) = ask(network, SOURCE)
    assert 0.95 < seconds < 2.5  # 4,000,000 bits


def test_cut_cable_carries_nothing_until_it_is_mended(network):
    start(network, ECHO)
    network.cut(1)
    assert ask(network, ASK.replace("range(40)", "range(3)")) == []
    network.mend(1)
    assert len(ask(network, ASK)) == 40


def test_nodes_reach_nothing_else(network):
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    done = network.popen(0, [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True).communicate(timeout=20)
    assert "Network is unreachable" in done[1]


def test_laboratory_leaves_no_process():
    with Network(2, seconds=60.0) as network:
        start(network, ECHO)
        pids = [network.switch_pid, *(process.pid for process in network._started)]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_switch_ends_after_its_time():
    with Network(1, seconds=0.5) as network:
        wait_until(lambda: not alive(network.switch_pid), 20.0, "the switch ends")
