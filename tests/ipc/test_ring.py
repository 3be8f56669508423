"""The ring: order, back-pressure, restart of its writer, and two real processes."""

import random
import time
from types import SimpleNamespace

import numpy as np
import pytest

from mzpipe.ipc import atomics
from mzpipe.ipc import ring as ring_module
from mzpipe.ipc.ring import RingReader, RingWriter, power_of_two
from tests.ipc.peer import NUM_SLOTS, open_ring, pattern
from tests.ipc.processes import peer


@pytest.fixture
def ring(shm_path):
    return open_ring(shm_path, create=True)


def put(writer, number):
    slot = writer.claim()
    assert slot is not None
    slot.sequence[0], slot.data[:] = number, pattern(number)
    writer.commit()


def take(reader):
    slot = reader.peek()
    if slot is None:
        return None
    number = int(slot.sequence[0])
    np.testing.assert_array_equal(slot.data, pattern(number))
    reader.release()
    return number


def test_power_of_two_rounds_up():
    assert [power_of_two(n) for n in (1, 2, 3, 4, 5, 64, 65)] == [1, 2, 4, 4, 8, 64, 128]


def test_ring_gives_records_back_in_order_over_many_laps(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    for number in range(5 * NUM_SLOTS):
        put(writer, number)
        assert take(reader) == number
    assert take(reader) is None


def test_ring_refuses_a_claim_when_it_is_full_and_gives_it_after_a_release(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    for number in range(NUM_SLOTS):
        put(writer, number)
    assert writer.claim() is None
    assert ring.fill() == 1.0
    assert take(reader) == 0
    assert writer.claim() is not None


def test_claim_and_peek_give_the_same_slot_when_they_are_repeated(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    assert writer.claim() is writer.claim()
    put(writer, 0)
    assert reader.peek() is reader.peek()


def test_new_writer_starts_where_a_killed_one_had_committed_last(ring):
    reader, writer = RingReader(ring), RingWriter(ring)
    for number in range(11):
        put(writer, number)
        assert take(reader) == number
    put(writer, 11)
    half = writer.claim()
    half.data[:] = -1  # killed in the middle of the next
    successor = RingWriter(ring, epoch=1)
    put(successor, 12)
    taken = [(reader.epoch(), take(reader)) for _ in range(2)]
    assert taken == [(0, 11), (1, 12)]
    assert take(reader) is None


def test_new_writer_continues_when_the_former_died_between_commit_word_and_gauge(ring):
    writer = RingWriter(ring)
    put(writer, 0)
    ring.cursors[0] = 0  # it died before it stored the gauge
    successor = RingWriter(ring)
    put(successor, 1)
    reader = RingReader(ring)
    assert [take(reader), take(reader), take(reader)] == [0, 1, None]


def test_new_writer_finds_a_full_ring_full(ring):
    writer = RingWriter(ring)
    for number in range(NUM_SLOTS):
        put(writer, number)
    assert RingWriter(ring).claim() is None


def build(writer, number, *, commit_word_first=False):
    """Builds a record in steps; the reader may look after each of them. `commit_word_first` plants the bug."""
    words = writer.claim()
    assert words is not None
    if commit_word_first:
        commit_word(writer._ring, number)
        yield
    words.sequence[0], words.data[:20] = number, pattern(number)[:20]
    yield
    words.data[20:] = pattern(number)[20:]
    yield
    writer.commit()


def commit_word(ring, number):
    atomics.store_release(ring.headers[number % NUM_SLOTS], 0, number + 1)


def torn_in(ring, *, commit_word_first):
    """How many looks at unfinished records see a torn one; the records themselves tell."""
    writer, reader, torn = RingWriter(ring), RingReader(ring), 0
    for number in range(3 * NUM_SLOTS):  # over fresh slots, and over those that hold a whole record of an earlier lap
        for _ in build(writer, number, commit_word_first=commit_word_first):
            slot = reader.peek()
            torn += slot is not None and not is_whole(slot, number)
        assert take(reader) == number
    return torn


def is_whole(slot, number):
    return slot.sequence[0] == number and (slot.data == pattern(number)).all()


def test_reader_sees_no_torn_record_at_any_moment_of_its_building(ring):
    assert torn_in(ring, commit_word_first=False) == 0


def test_reader_sees_torn_records_when_the_commit_word_comes_first(ring):
    """The control of the test above, and of those between two processes: the same looks must see this bug."""
    assert torn_in(ring, commit_word_first=True) == 2 * 3 * NUM_SLOTS


def test_commit_word_is_stored_after_the_header(ring, monkeypatch):
    stores = []
    recorder = SimpleNamespace(
        store_relaxed=lambda words, place, value: stores.append((words, place, value)),
        store_release=lambda words, place, value: stores.append((words, place, value)),
    )
    monkeypatch.setattr(ring_module, "atomics", recorder)
    assert ring_module.commit_kernel.py_func("slot", "head", 328, 5, 41) == 42
    assert stores == [("slot", 1, 328), ("slot", 2, 5), ("slot", 0, 42), ("head", 0, 42)]


def test_reader_takes_no_record_of_another_lap_for_one_of_its_own(ring):
    """Only the commit word tells: the payload is whole and of the very same slot."""
    reader = RingReader(ring)
    for lap in (-1, 1):
        commit_word(ring, lap * NUM_SLOTS)
        assert reader.peek() is None
    commit_word(ring, 0)
    assert reader.peek() is not None


@pytest.mark.slow
def test_ring_loses_tears_and_repeats_nothing_between_two_processes(shm_path, ring):
    count, reader = 60_000, RingReader(ring)
    with peer("write_records", shm_path, count) as process:
        for expected in range(count):
            number = take(reader)
            while number is None:
                assert process.poll() in (None, 0)
                atomics.yield_core()
                number = take(reader)
            assert number == expected
        assert process.wait(120) == 0
    assert take(reader) is None


@pytest.mark.slow
def test_reader_sees_a_torn_record_of_a_process_that_stores_the_commit_word_first(shm_path, ring):
    """The control of the test above."""
    reader, expected, torn, end_s = RingReader(ring), 0, False, time.monotonic() + 60
    with peer("write_records", shm_path, 10**9, 0, "planted") as process:
        while not torn:
            assert time.monotonic() < end_s and process.poll() is None
            slot = reader.peek()
            if slot is not None:
                torn = not is_whole(slot, expected)
                expected += 1
                reader.release()


@pytest.mark.slow
def test_ring_continues_without_a_gap_when_its_writer_is_killed_again_and_again(shm_path, ring):
    reader, expected, rng = RingReader(ring), 0, random.Random(0)
    for epoch in range(8):
        with peer("write_records", shm_path, 10**9, epoch) as process:
            first, end_s = expected, time.monotonic() + 120
            goal = expected + rng.randint(1, 3_000)
            while expected < goal:
                assert time.monotonic() < end_s
                number = take(reader)
                if number is not None:
                    assert number == expected
                    expected += 1
            process.kill()
            process.wait(120)
        number = take(reader)
        while number is not None:  # what it had committed is not lost
            assert number == expected
            expected += 1
            number = take(reader)
        assert expected > first


def test_reader_looks_ahead_and_releases_in_order(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    for lap in range(3 * NUM_SLOTS):
        put(writer, 2 * lap)
        put(writer, 2 * lap + 1)
        assert reader.peek(ahead=2) is None
        for ahead in (0, 1, 0):
            slot = reader.peek(ahead)
            assert int(slot.sequence[0]) == 2 * lap + ahead
            np.testing.assert_array_equal(slot.data, pattern(2 * lap + ahead))
        assert (take(reader), take(reader), take(reader)) == (2 * lap, 2 * lap + 1, None)


def test_reader_never_looks_ahead_into_the_lap_before(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    for number in range(NUM_SLOTS):
        put(writer, number)
    assert reader.peek(ahead=NUM_SLOTS - 1) is not None
    assert reader.peek(ahead=NUM_SLOTS) is None
    assert take(reader) == 0
    assert reader.peek(ahead=NUM_SLOTS - 1) is None  # its slot still holds what was released


def test_successor_of_a_reader_begins_with_what_was_looked_at_and_not_released(ring):
    writer, reader = RingWriter(ring), RingReader(ring)
    for number in range(3):
        put(writer, number)
    assert take(reader) == 0
    assert reader.peek(ahead=1) is not None
    successor = RingReader(ring)
    assert [take(successor) for _ in range(3)] == [1, 2, None]
