"""The control plane: messages both ways, a successor's identity, private sockets."""

import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from mzpipe.errors import InputOutputError, MessageError
from mzpipe.ipc.control import RUNNING, LocalPort, RoleSocket, StopWord, SupervisorSocket
from mzpipe.ipc.messages import Hello, Note, Welcome


def receive(supervisor, count, timeout_s=100.0):
    messages, end_s = [], time.monotonic() + timeout_s
    while len(messages) < count and time.monotonic() < end_s:
        messages += supervisor.receive()
    return messages


@pytest.fixture
def supervisor(shm_path):
    socket = SupervisorSocket(shm_path / "control")
    yield socket
    socket.close()


def test_messages_reach_the_supervisor_and_the_addressed_role(supervisor, shm_path):
    first, second = (RoleSocket(shm_path / "control", name) for name in ("actor-0", "actor-1"))
    hello = Hello("run", "actor", 0, 7, 1)
    first.send(hello)
    second.send(Note("there"))
    assert sorted(receive(supervisor, 2), key=str) == [("actor-0", hello), ("actor-1", Note("there"))]
    assert supervisor.send("actor-1", Welcome(epoch=4))
    assert second.wait(120)
    assert second.receive() == [Welcome(epoch=4)]
    assert first.receive() == []
    first.close()
    second.close()


def test_successor_takes_over_a_dead_roles_identity(supervisor, shm_path):
    first = RoleSocket(shm_path / "control", "actor-0")
    first.send(Note("first"))
    receive(supervisor, 1)
    second = RoleSocket(shm_path / "control", "actor-0")  # the first never said goodbye
    second.send(Note("second"))
    assert receive(supervisor, 1) == [("actor-0", Note("second"))]
    supervisor.send("actor-0", Note("to the second"))
    assert second.wait(120)
    assert first.receive() == []
    first.close()
    second.close()


@pytest.fixture
def stranger(shm_path, supervisor):
    """A socket that sends what a role would never send."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, b"str\xffnger")
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"ipc://{shm_path / 'control'}")
    yield socket
    socket.close()


def test_malformed_messages_come_as_errors_and_those_after_them_as_ever(supervisor, stranger, shm_path):
    stranger.send(b"\x01garbage")
    stranger.send_multipart([b"one", b"two"])
    stranger.send(b"")
    found = receive(supervisor, 3)
    assert {identity for identity, _ in found} == {"str\ufffdnger"}
    assert all(isinstance(error, MessageError) for _, error in found)
    assert "message of 3 frames, expected 2" in str(found[1][1])
    role = RoleSocket(shm_path / "control", "actor-0")
    role.send(Note("after"))
    assert receive(supervisor, 1) == [("actor-0", Note("after"))]
    role.close()


def test_send_says_so_when_a_role_is_not_connected(supervisor):
    assert not supervisor.send("nobody-0", Note("hello"))


def test_socket_is_private_and_its_path_short(supervisor, shm_path):
    assert stat.S_IMODE((shm_path / "control").stat().st_mode) == 0o600
    with pytest.raises(InputOutputError, match="a socket path has at most 107 bytes"):
        SupervisorSocket(Path("/dev/shm") / ("x" * 120))


def test_stop_word_starts_running_and_keeps_its_stage():
    word = StopWord(np.zeros(16, np.int64))
    assert word.stage() == RUNNING
    word.raise_to(2)
    assert word.stage() == 2


def test_local_port_delivers_both_ways():
    port = LocalPort()
    port.send(Note("up"))
    port.to_role.append(Note("down"))
    assert list(port.to_supervisor) == [Note("up")]
    assert port.receive() == [Note("down")]
    assert port.receive() == []


def test_close_waits_until_the_last_words_are_sent_so_that_a_process_may_end_at_once(shm_path):
    """The supervisor is not there yet when the role closes."""
    code = f"""
import os
from pathlib import Path
from mzpipe.ipc import control
from mzpipe.ipc.messages import Note
control._LAST_WORDS_MS = 60_000
role = control.RoleSocket(Path({str(shm_path / "control")!r}), "actor-0")
role.send(Note("last words"))
print(flush=True)
role.close()
os._exit(0)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    supervisor = SupervisorSocket(shm_path / "control")
    assert receive(supervisor, 1, timeout_s=30.0) == [("actor-0", Note("last words"))]
    assert process.wait(120) == 0
    process.stdout.close()
    supervisor.close()
