"""Weights versions: whole or not at all, also between two processes."""

import time

import numpy as np
import pytest

from mzpipe.errors import InputOutputError, NotFiniteError
from mzpipe.ipc import atomics
from mzpipe.ipc import weights as weights_module
from mzpipe.ipc.copying import copy_floats
from mzpipe.ipc.weights import NUM_WEIGHTS_BUFFERS, WeightsPublisher, WeightsSubscriber, weights_layout
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


def test_new_publisher_continues_from_the_last_version(segment):
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


def interrupted(monkeypatch, between):
    """Makes the next copy of weights, by either end, call `between` in its middle."""

    def copy(source, target):
        monkeypatch.setattr(weights_module, "copy_floats", copy_floats)
        half = len(source) // 2
        first = copy_floats(source[:half], target[:half])
        between()
        return copy_floats(source[half:], target[half:]) and first

    monkeypatch.setattr(weights_module, "copy_floats", copy)


class Killed(Exception):
    """Stands for the end of the publisher's process."""


def kill():
    raise Killed


def test_new_publisher_repeats_the_version_in_whose_copy_the_former_died(segment, monkeypatch):
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    for value in (1, 2, 3):
        publish(publisher, value)
    interrupted(monkeypatch, kill)
    with pytest.raises(Killed):
        publish(publisher, 4)
    assert [version for version in range(1, 5) if subscriber.pull(version) is not None] == [2, 3]
    assert subscriber.pull().version == 3
    assert publish(WeightsPublisher(segment), 4) == 4
    np.testing.assert_array_equal(subscriber.pull().weights, 4)


def test_new_publisher_repeats_a_version_that_was_stamped_but_not_published(segment):
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    for value in (1, 2, 3):
        publish(publisher, value)
    segment["latest"][0] = 2  # it died before it stored the version word
    assert subscriber.pull().version == 2
    assert WeightsPublisher(segment).publish(np.full(SIZE, 5, np.float32), learner_steps=50, env_steps=7) == 3
    np.testing.assert_array_equal(subscriber.pull().weights, 5)


def pulled_while_it_is_overwritten(segment, monkeypatch):
    """Pulls version 1 in the middle of version 4's publication, which goes into the same buffer."""
    publisher, subscriber, pulled = WeightsPublisher(segment), WeightsSubscriber(segment), []
    for value in (1, 2, 3):
        publish(publisher, value)
    interrupted(monkeypatch, lambda: pulled.append(subscriber.pull(1)))
    publish(publisher, 4)
    return pulled[0]


def pulled_and_overwritten_in_the_middle(segment, monkeypatch):
    """Pulls version 1: half is copied before versions 2 to 4 are published, and half after."""
    publisher, subscriber = WeightsPublisher(segment), WeightsSubscriber(segment)
    publish(publisher, 1)
    interrupted(monkeypatch, lambda: [publish(publisher, value) for value in (2, 3, 4)])
    return subscriber.pull(1)


def test_pull_gives_nothing_while_the_buffer_is_overwritten(segment, monkeypatch):
    assert pulled_while_it_is_overwritten(segment, monkeypatch) is None


def test_pull_is_torn_when_the_stamp_stays_while_the_buffer_is_overwritten(segment, monkeypatch):
    """The control of the test above: the weights themselves tell."""
    monkeypatch.setattr(atomics, "store_ordered", lambda words, index, value: None)
    assert set(pulled_while_it_is_overwritten(segment, monkeypatch).weights.tolist()) == {1, 4}


def test_pull_gives_nothing_when_the_buffer_is_overwritten_during_the_copy(segment, monkeypatch):
    assert pulled_and_overwritten_in_the_middle(segment, monkeypatch) is None


def test_pull_is_torn_when_the_stamp_is_not_read_again_after_the_copy(segment, monkeypatch):
    """The control of the test above: the weights themselves tell."""
    monkeypatch.setattr(atomics, "load_ordered", lambda words, index: 1)
    assert set(pulled_and_overwritten_in_the_middle(segment, monkeypatch).weights.tolist()) == {1, 4}


def test_steps_of_a_version_are_written_when_its_stamp_is_stored(segment, monkeypatch):
    store, steps = atomics.store_release, []

    def look(words, index, version):
        steps.append([segment[name][version % NUM_WEIGHTS_BUFFERS] for name in ("learner_steps", "env_steps")])
        store(words, index, version)

    monkeypatch.setattr(atomics, "store_release", look)
    publish(WeightsPublisher(segment), 1)
    assert steps == [[10, 7], [10, 7]]  # at the stamp, and at the version word


def test_pulled_steps_are_the_versions_own_when_its_buffer_is_overwritten_after_the_last_look(segment, monkeypatch):
    publisher, load = WeightsPublisher(segment), atomics.load_ordered
    publish(publisher, 1)

    def look_and_overwrite(words, index):
        stamp = load(words, index)
        for value in (2, 3, 4):
            publish(publisher, value)
        return stamp

    monkeypatch.setattr(atomics, "load_ordered", look_and_overwrite)
    pulled = WeightsSubscriber(segment).pull(1)
    assert (pulled.learner_steps, set(pulled.weights.tolist())) == (10, {1})


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


@pytest.mark.slow
def test_subscriber_sees_a_torn_version_of_a_process_that_leaves_the_stamp(shm_path):
    """The control of the test above, and of the stamp that is read twice."""
    segment = open_arrays(shm_path, "weights", weights_layout(WEIGHTS_BYTES), create=True)
    subscriber, torn, end_s = WeightsSubscriber(segment), False, time.monotonic() + 60
    with peer("publish_weights", shm_path, "planted") as process:
        while not torn:
            assert time.monotonic() < end_s and process.poll() is None
            pulled = subscriber.pull(max(0, subscriber.latest() - NUM_WEIGHTS_BUFFERS + 1))
            torn = pulled is not None and len(np.unique(pulled.weights)) > 1
