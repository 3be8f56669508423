"""Weights versions: whole or not at all, also between two processes."""

import ctypes
import time

import numpy as np
import pytest

from mzpipe.errors import InputOutputError, NotFiniteError
from mzpipe.ipc import atomics
from mzpipe.ipc import weights as subscriber_module
from mzpipe.ipc.checksum import copy_floats
from mzpipe.ipc.slots import NUM_WEIGHTS_BUFFERS, weights_layout
from mzpipe.ipc.weights import WeightsPublisher, WeightsSubscriber
from tests.ipc.peer import WEIGHTS_BYTES, open_arrays
from tests.ipc.processes import peer

SIZE = 10


@pytest.fixture
def segment():
    layout = weights_layout(4 * SIZE)
    return layout.views(bytearray(layout.nbytes))


def publish(publisher, value):
    return publisher.publish(np.full(SIZE, value, np.float32), learner_steps=int(10 * value), env_steps=7)


def test_subscriber_finds_nothing_before_the_first_version(segment):
    assert WeightsSubscriber(segment).latest() == 0
    assert WeightsSubscriber(segment).pull() is None


def test_subscriber_pulls_the_newest_version_with_its_steps(segment):
    publisher = WeightsPublisher(segment)
    for value in range(1, 8):
        assert publish(publisher, value) == value
        pulled = WeightsSubscriber(segment).pull()
        assert (pulled.version, pulled.learner_steps, pulled.env_steps) == (value, 10 * value, 7)
        np.testing.assert_array_equal(pulled.weights, value)


def test_subscriber_pulls_former_versions_until_they_are_overwritten(segment):
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    for value in range(1, 6):
        publish(publisher, value)
    found = [version for version in range(1, 7) if subscriber.pull(version) is not None]
    assert found == [3, 4, 5]
    assert len(found) == NUM_WEIGHTS_BUFFERS


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_publisher_refuses_weights_that_are_not_finite(segment, bad):
    publisher = WeightsPublisher(segment)
    publish(publisher, 1)
    weights = np.ones(SIZE, np.float32)
    weights[4] = bad
    with pytest.raises(NotFiniteError, match="weights are not finite"):
        publisher.publish(weights, learner_steps=0, env_steps=0)
    assert WeightsSubscriber(segment).latest() == 1


def test_new_publisher_goes_on_from_the_last_version(segment):
    publish(WeightsPublisher(segment), 1)
    assert publish(WeightsPublisher(segment), 2) == 2


def test_refused_publication_leaves_the_latest_version_and_the_one_before_it(segment):
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    for value in range(1, 4):
        publish(publisher, value)
    with pytest.raises(NotFiniteError):
        publisher.publish(np.full(SIZE, np.nan, np.float32), learner_steps=0, env_steps=0)
    assert [version for version in range(1, 5) if subscriber.pull(version) is not None] == [2, 3]
    assert publish(publisher, 4) == 4
    np.testing.assert_array_equal(subscriber.pull().weights, 4)


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_publisher_refuses_weights_of_another_size(segment, size):
    with pytest.raises(InputOutputError, match=f"weights of {4 * size} bytes, the segment holds {4 * SIZE}"):
        WeightsPublisher(segment).publish(np.zeros(size, np.float32), learner_steps=0, env_steps=0)


def test_pull_gives_nothing_when_the_buffer_is_overwritten_during_the_copy(segment, monkeypatch):
    """Three versions in the middle of a copy: the stamp tells. The same copy without it is torn."""
    publisher, subscriber, copies = WeightsPublisher(segment), WeightsSubscriber(segment), []
    publish(publisher, 1)

    def interrupted_copy(source, target, size):
        monkeypatch.undo()  # the publisher copies by the same function
        half = size // 2
        copy_floats(source, target, half)
        for value in (2, 3, 4):
            publish(publisher, value)
        copy_floats(source + 4 * half, target + 4 * half, size - half)
        copies.append(np.frombuffer((ctypes.c_float * size).from_address(target), np.float32).copy())
        return int(segment["crc"][1])  # so that it is not the checksum that tells

    monkeypatch.setattr(subscriber_module, "copy_floats", interrupted_copy)
    assert subscriber.pull(1) is None
    assert set(copies[0].tolist()) == {1, 4}  # the control: what an unchecked reader would have got


def test_pull_raises_when_a_byte_of_a_whole_buffer_was_flipped(segment):
    publish(WeightsPublisher(segment), 1)
    segment["buffer"][1][5] ^= 1
    with pytest.raises(InputOutputError, match="weights version 1: checksum of buffer 1 does not match"):
        WeightsSubscriber(segment).pull()


@pytest.mark.slow
def test_subscriber_never_sees_a_torn_version_between_two_processes(shm_path):
    segment = open_arrays(shm_path, "weights", weights_layout(WEIGHTS_BYTES), create=True)
    subscriber, versions = WeightsSubscriber(segment), set()
    with peer("publish_weights", shm_path) as process:
        end_s = None
        while len(versions) < 1_000:
            assert end_s is None or time.monotonic() < end_s, f"{len(versions)} versions seen"
            assert process.poll() is None
            pulled = subscriber.pull()
            if pulled is None:
                atomics.yield_core()
            else:
                end_s = end_s or time.monotonic() + 60  # the peer works
                assert (pulled.weights == pulled.version).all()
                assert pulled.learner_steps == pulled.version
                versions.add(pulled.version)
