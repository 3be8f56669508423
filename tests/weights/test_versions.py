"""Weights versions: whole or not at all, also between two processes."""

import time

import numpy as np
import pytest

from mzpipe.errors import InputOutputError
from mzpipe.ipc.slots import NUM_WEIGHTS_BUFFERS, weights_layout
from mzpipe.weights import WeightsPublisher, WeightsSubscriber
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
    assert publisher.publish(weights, learner_steps=0, env_steps=0) == 0
    assert WeightsSubscriber(segment).latest() == 1


def test_new_publisher_goes_on_from_the_last_version(segment):
    publish(WeightsPublisher(segment), 1)
    assert publish(WeightsPublisher(segment), 2) == 2


def test_pull_gives_nothing_when_the_buffer_is_overwritten_during_the_copy(segment):
    """Three versions in the middle of a copy: the stamp tells. The same copy without it is torn."""
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    publish(publisher, 1)
    torn = interrupted_buffer(segment, lambda: [publish(publisher, value) for value in (2, 3, 4)])
    assert len(set(torn.tolist())) == 2  # the control: what an unchecked reader would have got
    segment["stamp"][1] = 1  # as when the copy began
    segment["latest"][0] = 1
    original = segment["buffer"]
    segment["buffer"] = Interrupting(original, lambda: [publish(WeightsPublisher(segment), 4) for _ in range(3)])
    assert subscriber.pull(1) is None


def interrupted_buffer(segment, interrupt):
    half = SIZE // 2
    words = segment["buffer"][1].view(np.float32)
    first = words[:half].copy()
    interrupt()
    return np.concatenate([first, words[half:]])


class Interrupting:
    """A buffer whose rows are overwritten while somebody copies them."""

    def __init__(self, buffer, interrupt):
        self.buffer, self.interrupt = buffer, interrupt

    def __getitem__(self, index):
        if not isinstance(index, tuple) and self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            return CopyThen(self.buffer[index], interrupt)
        return self.buffer[index]

    def __setitem__(self, index, value):
        self.buffer[index] = value


class CopyThen:
    def __init__(self, row, interrupt):
        self.row, self.interrupt = row, interrupt

    def copy(self):
        copied = self.row.copy()
        self.interrupt()
        return copied


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
        end_s = time.monotonic() + 30
        while len(versions) < 1_000:
            assert time.monotonic() < end_s, f"{len(versions)} versions seen"
            assert process.poll() is None
            pulled = subscriber.pull()
            if pulled is not None:
                assert (pulled.weights == pulled.version).all()
                assert pulled.learner_steps == pulled.version
                versions.add(pulled.version)
