"""What is appended is read again, bit for bit, with the state and across restarts."""

import hashlib
import struct

import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mzpipe.errors import InputOutputError
from mzpipe.ipc.columns import RecordLayout, Sizes, named
from mzpipe.ipc.schema import Trajectory
from mzpipe.replay.journal import Journal, JournalLayout, has_journal, read_journal
from mzpipe.replay.journal.format import (
    decode_payload,
    file_header,
    file_version,
    parse_record_header,
    payload_bytes,
    record_bytes,
    seal,
)
from tests.waiting import eventually

from .samples import (
    LAYOUT,
    RECORD_LENGTH,
    append,
    assert_is_record,
    begin,
    closed_journal,
    make_record,
    segment_paths,
    serials_in,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64"]),
    num_actions=st.integers(1, 9),
    lengths=st.lists(st.integers(0, RECORD_LENGTH), max_size=12),
)
def test_journal_returns_every_record_as_it_was(tmp_path_factory, shape, dtype, num_actions, lengths):
    directory, layout = tmp_path_factory.mktemp("run") / "journal", JournalLayout(shape, dtype, num_actions)
    journal = Journal(directory, layout, segment_bytes=1000)
    for serial, length in enumerate(lengths):
        record = make_record(serial, layout, length)
        assert journal.append(serial, record, actor=serial % 7, epoch=serial % 3)
    journal.close(60.0)
    contents = read_journal(directory, layout)
    stored = list(contents.trajectories())
    assert len(stored) == len(lengths)
    for serial, (trajectory, length) in enumerate(zip(stored, lengths, strict=True)):
        assert_is_record(trajectory, serial, layout, length)
    assert contents.notes == [] and contents.state is None
    assert contents.last_serial == len(lengths) - 1


def test_append_keeps_a_private_copy(tmp_path):
    journal, record = begin(tmp_path / "journal"), make_record(1)
    journal.append(1, record, actor=1, epoch=1)
    for array in named(record).values():
        array[...] = 0
    journal.close(60.0)
    assert serials_in(read_journal(tmp_path / "journal")) == [1]


def test_serials_may_have_gaps(tmp_path):
    journal = begin(tmp_path / "journal")
    append(journal, 3, 10, 11, 500)
    journal.close(60.0)
    assert serials_in(read_journal(tmp_path / "journal")) == [3, 10, 11, 500]


def test_segments_rotate_and_know_their_serials(tmp_path):
    contents = read_journal(closed_journal(tmp_path / "journal"), LAYOUT)
    assert len(contents.segments) > 3
    assert all(entry.bytes <= 2000 for entry in contents.segments)
    firsts, lasts = [e.first_serial for e in contents.segments], [e.last_serial for e in contents.segments]
    assert firsts == [1] + [last + 1 for last in lasts[:-1]] and lasts[-1] == 40
    assert serials_in(contents) == list(range(1, 41))


def test_record_larger_than_a_segment_has_one_of_its_own(tmp_path):
    journal = begin(tmp_path / "journal", segment_bytes=10)
    append(journal, 1, 2, 3)
    journal.close(60.0)
    contents = read_journal(tmp_path / "journal")
    assert len(contents.segments) == 3 and serials_in(contents) == [1, 2, 3]


def test_forget_deletes_segments_whose_serials_are_all_gone_and_no_other(tmp_path):
    journal = begin(tmp_path / "journal")
    append(journal, *range(1, 41))
    assert eventually(lambda: journal.durable_serial == 40)
    before = read_journal(tmp_path / "journal").segments
    kept = before[2].last_serial  # the last one of its segment still keeps it
    bytes_before = journal.bytes_on_disk
    journal.forget(kept)
    append(journal, 41)
    assert eventually(lambda: len(segment_paths(tmp_path / "journal")) == len(before) - 2)
    assert journal.bytes_on_disk < bytes_before
    journal.close(60.0)
    assert serials_in(read_journal(tmp_path / "journal")) == list(range(before[2].first_serial, 42))


def test_state_returns_with_its_arrays_and_the_newest_wins(tmp_path):
    journal = begin(tmp_path / "journal")
    priority = np.linspace(0, 1, 5, dtype=np.float32)
    for step in range(50):
        journal.save_state({"step": step, "name": "x"}, {"serial": np.arange(5), "priority": priority[:, None]})
    priority[:] = 9
    journal.close(60.0)
    state = read_journal(tmp_path / "journal").state
    assert state.fields == {"step": 49, "name": "x"}
    np.testing.assert_array_equal(state.arrays["serial"], np.arange(5))
    np.testing.assert_array_equal(state.arrays["priority"], np.linspace(0, 1, 5, dtype=np.float32)[:, None])


def test_journal_continues_after_restarts(tmp_path):
    directory, expected = tmp_path / "journal", []
    for start in range(4):
        former = read_journal(directory, LAYOUT) if has_journal(directory) else None
        if former is not None:
            assert serials_in(former) == expected
            former.repair()
        journal = begin(directory, former=former)
        serials = range(100 * start + 1, 100 * start + 21)
        append(journal, *serials)
        journal.close(60.0)
        expected += serials
    contents = read_journal(directory)
    assert serials_in(contents) == expected and contents.notes == []
    contents.repair()
    journal = begin(directory, former=contents)
    journal.forget(305)
    journal.close(60.0)
    kept = serials_in(read_journal(directory))
    assert kept == expected[-len(kept) :] and 305 in kept and 100 not in kept


def test_journal_without_records_can_be_read_and_continued(tmp_path):
    for _ in range(3):
        former = read_journal(tmp_path / "journal") if has_journal(tmp_path / "journal") else None
        if former is not None:
            former.repair()
        begin(tmp_path / "journal", former=former).close(10.0)
    assert serials_in(read_journal(tmp_path / "journal")) == []
    assert segment_paths(tmp_path / "journal") == []


def test_directory_that_holds_a_journal_is_not_begun_anew(tmp_path):
    closed_journal(tmp_path / "journal")
    with pytest.raises(InputOutputError, match="already holds a journal"):
        begin(tmp_path / "journal")
    (tmp_path / "journal" / "manifest.json").unlink()
    with pytest.raises(InputOutputError, match="already holds a journal"):
        begin(tmp_path / "journal")


def test_close_twice_is_fine_and_ends_the_thread(tmp_path):
    journal = begin(tmp_path / "journal")
    append(journal, 1)
    journal.close(60.0)
    journal.close(60.0)
    assert journal.written_transitions == 2 and journal.durable_serial == 1 and journal.pending_bytes == 0


def test_record_takes_little_more_than_its_arrays():
    atari = JournalLayout((84, 84), "uint8", 18)
    arrays = 64 * (84 * 84 + 4 + 4 + 1 + 18 + 72 + 4 + 8)
    assert arrays < record_bytes(atari, 64) < arrays + 160


def pieces_of_version_1(record, length):
    """The payload of a record of version 1, in the order that the head of `format` gives; each on 8 bytes."""
    numbers = (record.game, record.episode, record.offset, record.end)
    yield struct.pack("<6qf4x", 5, 6, *(int(number[0]) for number in numbers), float(record.final_value[0]))
    steps = record.steps
    for column in (
        steps.weights_version,
        steps.action,
        steps.reward,
        steps.root_value,
        steps.search_policy,
        record.frame,
        steps.to_play,
        steps.legal_actions,
    ):
        data = column[:length].tobytes()
        yield data + bytes(-len(data) % 8)


def test_record_of_version_1_is_read_from_the_bytes_that_it_always_had():
    """Programs of any later version must read them, whatever columns they have added."""
    layout = RecordLayout.of(Trajectory, Sizes(RECORD_LENGTH, **LAYOUT._asdict()))
    record = layout.record(bytearray(layout.nbytes))
    for place, (_, array) in enumerate(sorted(named(record).items())):
        array[...] = (np.arange(array.size).reshape(array.shape) + place) % 7
    record.length[0] = 4
    payload = b"".join(pieces_of_version_1(record, 4))
    head = bytearray(struct.pack("<4sIqqqII", b"MZr1", 1, 3, 4, 0, crc32c(payload), 0))
    seal(head, 128)
    file_head = file_header(LAYOUT, 1, version=1)
    digest = hashlib.sha256(file_head + head + payload).hexdigest()
    assert digest == "7e48b8a1be198bbdfb0c56b1b77ce2c3aa420a0ca4e5acb9f95d3346480cb34c"
    header = parse_record_header(bytes(head))
    assert file_version(file_head, LAYOUT, 1) == 1
    assert payload_bytes(LAYOUT, header, 1) == len(payload)
    stored = decode_payload(LAYOUT, header, payload, 1)
    assert (stored.serial, stored.actor, stored.epoch) == (3, 5, 6)
    for name, array in named(record).items():
        rows = array if len(array) == 1 else array[:4]
        np.testing.assert_array_equal(named(stored.record)[name], rows, name)
