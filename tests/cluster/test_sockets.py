"""The sockets of a link: what arrives wakes a process that sleeps on its doorbell."""

import threading
import time

import pytest

from mzpipe.cluster.keys import pod_key_path, read_head_keys, read_key, run_keys
from mzpipe.cluster.sockets import HeadSocket, PodSocket
from mzpipe.ipc.doorbell import Doorbell, doorbell_layout

ASLEEP = {"spin_ns": 0, "yield_ns": 0, "timeout_ns": 20_000_000_000}


@pytest.fixture
def bells():
    layout = doorbell_layout(2)
    words_PW = layout.views(bytearray(layout.nbytes))["words"]
    return Doorbell(words_PW, 0), Doorbell(words_PW, 1)


@pytest.fixture
def ends(tmp_path, bells):
    run_keys(tmp_path, 1)
    head = HeadSocket(read_head_keys(tmp_path), "127.0.0.1", 0, largest=1 << 20)
    pod = PodSocket(read_key(pod_key_path(tmp_path, 0)), "127.0.0.1", head.port, largest=1 << 20)
    head.ring(bells[0])
    pod.ring(bells[1])
    yield head, pod
    pod.close()
    head.close()


def asleep_until(bell, condition):
    """Sleeps on the bell until the condition holds; it is looked at once after each ring."""
    seen = bell.sequence()
    while not condition():
        assert bell.wait(seen, **ASLEEP), "it was not rung"
        seen = bell.sequence()


def test_what_arrives_rings_the_doorbell(ends, bells):
    """Peers ask to enter, messages come and answers go back, and both ends sleep in between."""
    (head, pod), got = ends, []

    def answer():
        for arrival in head.receive(64)[0]:
            assert head.send(arrival.identity, arrival.message)
            got.append(arrival.message)
        return len(got) == 50

    answering = threading.Thread(target=asleep_until, args=(bells[0], answer))
    answering.start()
    pod.connect()
    for number in range(50):
        answers = []
        assert pod.send(str(number).encode())
        asleep_until(bells[1], lambda answers=answers: answers.extend(pod.receive(1)) or answers)
        assert answers == [(str(number).encode(), None)]
    answering.join()
    assert got == [str(number).encode() for number in range(50)]


def hand_over_first(head, pod):
    """Connects, and has the first message received."""
    pod.connect()
    assert pod.send(b"first")
    while not head.receive(64)[0]:
        time.sleep(0.001)


def test_nothing_rings_while_nothing_arrives(ends, bells):
    hand_over_first(*ends)
    before = [bell.sequence() for bell in bells]
    time.sleep(0.2)
    assert [bell.sequence() for bell in bells] == before


def test_what_is_not_read_yet_does_not_ring_again(ends, bells):
    head, pod = ends
    hand_over_first(head, pod)
    rings = bells[0].sequence()
    assert pod.send(b"second")
    assert bells[0].wait(rings, **ASLEEP)
    time.sleep(0.2)
    assert bells[0].sequence() <= rings + 2
    assert [arrival.message for arrival in head.receive(1)[0]] == [b"second"]


def test_socket_that_is_closed_rings_no_more(tmp_path, bells):
    run_keys(tmp_path, 1)
    threads = threading.active_count()
    head = HeadSocket(read_head_keys(tmp_path), "127.0.0.1", 0, largest=1 << 20)
    head.ring(bells[0])
    assert threading.active_count() == threads + 1
    head.close()
    assert threading.active_count() == threads
