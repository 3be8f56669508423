"""Chunks of weights: asked for in order, taken in order, whole at the end."""

import numpy as np
import pytest

from mzpipe.cluster import transfer
from mzpipe.cluster.protocol import WINDOW
from mzpipe.cluster.transfer import Assembly, WeightsSource
from mzpipe.errors import MessageError, NotFiniteError
from mzpipe.ipc.layout import ArrayLayout
from mzpipe.ipc.weights import WeightsPublisher, WeightsSubscriber, weights_layout

FLOATS = 1_000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 256)


def new_segment():
    layout: ArrayLayout = weights_layout(4 * FLOATS)
    return layout.views(bytearray(layout.nbytes))


@pytest.fixture
def pod_segment():
    return new_segment()


@pytest.fixture
def ends(pod_segment):
    segment = new_segment()
    publisher, source = WeightsPublisher(segment), WeightsSource(WeightsSubscriber(segment))
    return publisher, source, Assembly(WeightsPublisher(pod_segment), 4 * FLOATS)


def publish(publisher, value):
    return publisher.publish(np.full(FLOATS, value, np.float32), learner_steps=value, env_steps=10 * value)


def take_chunks(assembly, snapshot, limit=1_000):
    """Takes chunks as they are wanted; returns what the last one answered, and the most that were on their way."""
    most = count = 0
    while assembly.is_under_way and count < limit:
        wanted = list(assembly.wanted())
        most = max(most, len(wanted))
        for chunk in wanted:
            assembly.asked(chunk)
        for chunk in wanted:
            answer = assembly.take(*snapshot.chunk(chunk))
            count += 1
    return answer, most


def test_chunks_in_order_make_the_version(ends, pod_segment):
    publisher, source, assembly = ends
    publish(publisher, 3)
    assembly.begin()
    assert take_chunks(assembly, source.newest()) == (True, WINDOW)
    pulled = WeightsSubscriber(pod_segment).pull()
    assert pulled[:3] == (1, 3, 30)
    assert (pulled.weights == 3.0).all()


def test_nothing_is_wanted_unless_a_transfer_is_under_way(ends):
    assert not ends[2].wanted()


def test_a_version_is_not_seen_before_its_last_chunk(ends, pod_segment):
    publisher, source, assembly = ends
    readers = WeightsSubscriber(pod_segment)
    for value in (1, 2, 3, 4, 5):
        publish(publisher, value)
        snapshot = source.newest()
        assembly.begin()
        take_chunks(assembly, snapshot, limit=1)
        assembly.begin()  # a connection was lost; all begins anew
        while assembly.is_under_way:
            pulled = readers.pull()
            assert (0 if pulled is None else pulled.version) == value - 1
            assert pulled is None or (pulled.weights == value - 1).all()
            take_chunks(assembly, snapshot, limit=1)
        assert (readers.pull().weights == value).all()


def test_version_that_the_pod_has_is_not_published_again(ends, pod_segment):
    publisher, source, assembly = ends
    publish(publisher, 3)
    for is_new in (True, False):
        assembly.begin()
        assert take_chunks(assembly, source.newest())[0] is is_new
    assert WeightsSubscriber(pod_segment).latest() == 1


def test_weights_that_are_not_finite_are_refused(ends, pod_segment):
    weights = np.zeros(FLOATS, np.float32)
    weights[-1] = np.nan
    assembly = ends[2]
    assembly.begin()
    with pytest.raises(NotFiniteError):
        take_chunks(assembly, transfer.Snapshot(1, 0, 0, weights.data.cast("B")))
    assert WeightsSubscriber(pod_segment).pull() is None


def test_all_transfers_of_a_version_share_one_copy(ends):
    publisher, source, _ = ends
    assert source.newest() is None
    publish(publisher, 1)
    first = source.newest()
    assert source.newest() is first
    publish(publisher, 2)
    assert source.newest().version == 2
    assert np.frombuffer(first.chunk(0)[1], np.float32)[0] == 1.0


@pytest.mark.parametrize("fault", ["order", "version", "length", "digest", "bytes", "unasked"])
def test_a_chunk_that_is_not_the_next_one_is_refused(ends, fault):
    publisher, source, assembly = ends
    publish(publisher, 1)
    snapshot = source.newest()
    if fault != "unasked":
        assembly.begin()
    message, data = snapshot.chunk(0)
    if fault != "unasked":
        assembly.take(message, data)
    message, data = snapshot.chunk({"order": 2, "unasked": 0}.get(fault, 1))
    if fault == "version":
        message = type(message)(**{**vars(message), "version": 9})
    if fault == "length":
        data = data[:-1]
    if fault == "bytes":
        data = memoryview(bytes([data[0] ^ 1, *data[1:]]))
    if fault == "digest":
        message = type(message)(**{**vars(message), "digest": message.digest ^ 1})
    with pytest.raises(MessageError):
        assembly.take(message, data)
