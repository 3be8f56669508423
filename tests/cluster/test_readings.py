"""What a pod tells a measured run of its processes: bytes there and back, in parts that may be cut off."""

import dataclasses

import msgpack
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.cluster import readings
from mzpipe.cluster.protocol import CHUNK_BYTES, Part
from mzpipe.cluster.readings import (
    LINK_COUNTS,
    STAGES,
    TRACE,
    PodTrace,
    Reading,
    ReadingTaker,
    pack_reading,
    pack_trace,
    taken_reading,
    taken_trace,
    unpack_reading,
    unpack_trace,
)
from mzpipe.errors import MessageError
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.ipc.trace import TraceRow
from mzpipe.telemetry.rates import DeviceTime
from tests.telemetry.moments import Pipeline

LIFE = 0xABC
MEMBERS = (Member(Role.INFERENCE, 0), Member(Role.UPLINK, 0), Member(Role.ACTOR, 0), Member(Role.ACTOR, 1))


def reading(time_s=12.5, steps=7):
    pipeline = Pipeline(MEMBERS)
    pipeline.works(MEMBERS[2], Stage.ENV_STEP, 30, steps)
    pipeline.waits(MEMBERS[3], 500)
    pipeline.devices[MEMBERS[0]] = DeviceTime(0.25, 0.5)
    return Reading(pipeline.moment(time_s, {MEMBERS[2]: 1.5}), 16, dict.fromkeys(LINK_COUNTS, 2.0))


def trace(*counts):
    rng = np.random.default_rng(0)
    return PodTrace(
        MEMBERS[: len(counts)], tuple(TraceRow(rng.integers(0, 1 << 62, (count, 4)), count % 3) for count in counts)
    )


def test_reading_comes_back_as_it_was():
    sent = reading()
    got = unpack_reading(pack_reading(sent))
    assert got.moment.members == MEMBERS
    assert (got.moment.time_s, got.cores, got.link) == (12.5, 16, sent.link)
    assert (got.moment.cpu, got.moment.devices) == (sent.moment.cpu, sent.moment.devices)
    np.testing.assert_array_equal(got.moment.stages.words(), sent.moment.stages.words())
    assert got.moment.stages.items_PS[2, Stage.ENV_STEP] == 7


def test_trace_comes_back_as_it_was():
    sent = trace(5, 0, 7)
    got = unpack_trace(pack_trace(sent))
    assert got.members == sent.members
    for ours, theirs in zip(got.rows, sent.rows, strict=True):
        np.testing.assert_array_equal(ours.event_EW, theirs.event_EW)
        assert ours.lost == theirs.lost


def changed(data, **fields):
    """Packed bytes with other fields; a value of None leaves one out."""
    found = msgpack.unpackb(zstandard.ZstdDecompressor().decompress(data)) | fields
    kept = {name: value for name, value in found.items() if value is not None}
    return zstandard.ZstdCompressor().compress(msgpack.packb(kept))


@pytest.mark.parametrize(
    "fields",
    [
        {"members": None},
        {"members": [["captain", 0]] * 4},
        {"members": [["actor"]] * 4},
        {"members": [["actor", 0]] * 3},
        {"stages": b"1234567"},
        {"stages": b"12345678" * 4},
        {"stages": 5},
        {"cpu": [[9, 1, 1.0]]},
        {"cpu": [[0, 1]]},
        {"devices": 7},
        {"link": {}},
        {"time_s": "soon"},
        {"cores": None},
    ],
)
def test_reading_of_another_form_is_refused(fields):
    with pytest.raises(MessageError, match="stages of a pod"):
        unpack_reading(changed(pack_reading(reading()), **fields))


@pytest.mark.parametrize(
    "fields", [{"rows": None}, {"rows": [[b"", 0]]}, {"rows": [[b"12345678", 0]] * 2}, {"rows": [[b"", "x"]] * 2}]
)
def test_trace_of_another_form_is_refused(fields):
    with pytest.raises(MessageError, match="trace of a pod"):
        unpack_trace(changed(pack_trace(trace(1, 2)), **fields))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(data):
    for unpack in (unpack_reading, unpack_trace):
        with pytest.raises(MessageError):
            unpack(data)
        with pytest.raises(MessageError):
            unpack(zstandard.ZstdCompressor().compress(data))


def test_bytes_that_would_swell_are_refused_before_they_do():
    swollen = zstandard.ZstdCompressor().compress(bytes(readings.MAX_BYTES + 1))
    with pytest.raises(MessageError, match="at most 67108864"):
        unpack_reading(swollen)


@pytest.fixture
def taker(tmp_path):
    taker = ReadingTaker(tmp_path, 3)
    taker.begin(LIFE)
    return taker


def take(taker, what, data, size, upto=None):
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    for number, chunk in enumerate(chunks[:upto]):
        taker.take(Part(what, number, len(chunks)), memoryview(chunk))


def test_parts_make_the_newest_reading_once_all_have_come(taker, tmp_path):
    take(taker, STAGES, pack_reading(reading(1.0)), 50)
    assert taken_reading(tmp_path, 3, LIFE).moment.time_s == 1.0
    take(taker, STAGES, pack_reading(reading(2.0)), 50, upto=-1)
    assert taken_reading(tmp_path, 3, LIFE).moment.time_s == 1.0
    assert (taken_reading(tmp_path, 2, LIFE), taken_trace(tmp_path, 3, LIFE)) == (None, None)


def test_reading_that_a_lost_connection_cut_off_begins_again(taker, tmp_path):
    take(taker, TRACE, pack_trace(trace(9, 9)), 100, upto=1)
    taker.begin(LIFE)
    take(taker, TRACE, pack_trace(trace(9, 9)), 100)
    assert len(taken_trace(tmp_path, 3, LIFE).rows) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pod-3.abc.trace"]


def test_files_of_a_former_life_go_when_another_begins(taker, tmp_path):
    other = ReadingTaker(tmp_path, 33)
    other.begin(LIFE)
    take(other, STAGES, pack_reading(reading(5.0)), 1_000)
    take(taker, STAGES, pack_reading(reading(1.0)), 1_000)
    take(taker, TRACE, pack_trace(trace(1)), 1_000)
    taker.begin(LIFE)
    assert taken_reading(tmp_path, 3, LIFE).moment.time_s == 1.0
    taker.begin(LIFE + 1)
    assert (taken_reading(tmp_path, 3, LIFE), taken_trace(tmp_path, 3, LIFE)) == (None, None)
    assert taken_reading(tmp_path, 33, LIFE).moment.time_s == 5.0


@pytest.mark.parametrize(
    "part",
    [
        Part("weights", 0, 1),
        Part("../trace", 0, 1),
        Part(STAGES, 1, 2),
        Part(STAGES, -1, 2),
        Part(STAGES, 0, 0),
        Part(STAGES, 0, 1 << 20),
    ],
)
def test_part_that_no_pod_sends_is_refused(taker, part, tmp_path):
    with pytest.raises(MessageError, match="Part"):
        taker.take(part, memoryview(b"1"))
    assert list(tmp_path.iterdir()) == []


def test_part_that_is_too_large_is_refused(taker):
    with pytest.raises(MessageError, match="Part 0 of 1"):
        taker.take(Part(STAGES, 0, 1), memoryview(bytes(CHUNK_BYTES + 1)))


def test_reading_for_which_there_is_no_room_is_left_out(tmp_path):
    taker = ReadingTaker(tmp_path / "gone", 0)
    take(taker, STAGES, pack_reading(reading()), 10_000)
    assert taken_reading(tmp_path / "gone", 0, 0) is None


def test_reading_of_nobody_is_an_empty_moment():
    nobody = dataclasses.replace(reading().moment, cpu={}, devices={})
    assert unpack_reading(pack_reading(Reading(nobody, 1, dict.fromkeys(LINK_COUNTS, 0.0)))).moment.cpu == {}
