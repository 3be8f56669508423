"""Keys that pods have made on their own nodes: the run's port admits the newest of each pod, and no other."""

import pytest

from mzpipe.cluster.keys import new_head_keys, new_pod_key
from mzpipe.cluster.sockets import HeadSocket, PodSocket
from tests.waiting import eventually

LARGEST = 1 << 16


@pytest.fixture
def placed():
    return {}


@pytest.fixture
def head(placed):
    keys = new_head_keys()
    socket = HeadSocket(keys, "127.0.0.1", 0, largest=LARGEST, placed=lambda: placed)
    socket.public = keys.public
    yield socket
    socket.close()


@pytest.fixture
def knock(head):
    """Sends a message with a key; returns the pods as which it arrives within a second or so."""
    pods = []

    def send(key):
        pods.append(PodSocket(key, "127.0.0.1", head.port, largest=LARGEST))
        pods[-1].connect()
        pods[-1].send(b"hello")
        arrivals = []

        def has_arrived():
            arrivals.extend(head.receive(10)[0])
            return arrivals

        eventually(has_arrived, 1.5)
        return [arrival.pod for arrival in arrivals]

    yield send
    for pod in pods:
        pod.close()


def test_key_of_a_placed_pod_is_admitted_from_when_it_is_known(head, placed, knock):
    key = new_pod_key(3, head.public)
    assert knock(key) == []
    placed[3] = key.public
    assert knock(key) == [3]


def test_former_key_of_a_pod_that_was_placed_again_is_unknown(head, placed, knock):
    former, newest = (new_pod_key(0, head.public) for _ in range(2))
    placed[0] = newest.public
    assert knock(former) == []
    assert knock(newest) == [0]


def test_key_of_one_pod_does_not_enter_as_another(head, placed, knock):
    key = new_pod_key(1, head.public)
    placed[0] = key.public  # known as pod 0, and it says pod 1
    assert knock(key) == []
