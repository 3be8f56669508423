"""Vectors and their candidates in the table, in batches and in the journal; without them all is as before."""

import numpy as np
import pytest

from mzpipe.ipc.columns import RecordLayout, Sizes, named
from mzpipe.ipc.lane import lane_layout
from mzpipe.ipc.schema import BatchSlot, FreshTargets, Steps, Trajectory
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.journal import JournalLayout
from mzpipe.replay.journal.format import (
    decode_payload,
    encode_record,
    file_header,
    file_version,
    parse_record_header,
    record_bytes,
    seal,
)
from mzpipe.replay.sizes import TableShape, bytes_per_transition
from mzpipe.replay.store import fault_of
from mzpipe.replay.table import Table

A, D, LENGTH, UNROLL = 3, 2, 5, 4
V = D + A * D
GAME = {"num_actions": A, "frame_shape": (2,), "frame_dtype": "float32"}


def make_record(first, *, end, action_size=D):
    """Five transitions whose every vector number is their own."""
    layout = RecordLayout.of(Trajectory, Sizes(LENGTH, **GAME, action_size=action_size))
    record = layout.record(bytearray(layout.nbytes))
    record.length[0], record.end[0], record.offset[0] = LENGTH, end, first
    record.steps.search_policy[:] = 1.0 / A
    if action_size:
        record.steps.vectors[:] = np.arange(first * V, (first + LENGTH) * V).reshape(LENGTH, V)
    return record


def make_table(transitions=20):
    sizes = {**GAME, "action_size": D}
    each = bytes_per_transition(sizes["frame_shape"], sizes["frame_dtype"], A, D)
    return Table(TableShape(capacity_bytes=transitions * each, trajectory_length=LENGTH, **sizes))


def make_slot(rows, action_size=D):
    sizes = Sizes(batch_size=rows, num_unroll_steps=UNROLL, frame_stack=1, **GAME, action_size=action_size)
    layout = RecordLayout.of(BatchSlot, sizes)
    return layout.record(bytearray(layout.nbytes))


def filled(table, steps, random_key=3):
    slot = make_slot(len(steps))
    slot.unrolls.vectors_BK1V[:] = 7.0  # of the batch that was in the slot before
    gatherer = Gatherer(table, discount=0.9, td_steps=1)
    gatherer.fill(slot, np.array(steps), np.ones(len(steps), np.int64), random_key)
    return slot.unrolls


def test_batch_has_the_vectors_of_every_state_across_records():
    table = make_table()
    for first in (0, 5):
        table.insert(make_record(first, end=int(first == 5)), actor=0, epoch=0)
    unrolls = filled(table, [0, 3, 8])
    for row, step in ((0, 0), (1, 3)):
        expected = np.arange(step * V, (step + UNROLL + 1) * V).reshape(UNROLL + 1, V)
        np.testing.assert_array_equal(unrolls.vectors_BK1V[row], expected)
    np.testing.assert_array_equal(unrolls.vectors_BK1V[2, :2], np.arange(8 * V, 10 * V).reshape(2, V))
    past_KV = unrolls.vectors_BK1V[2, 2:]
    assert (np.abs(past_KV[:, :D]) <= 1.0).all() and len(np.unique(past_KV[:, :D])) == 3 * D
    assert not past_KV[:, D:].any()


def test_random_vectors_past_the_end_repeat_with_their_key_and_fill_the_range():
    table = make_table()
    table.insert(make_record(0, end=1), actor=0, epoch=0)
    first, again, other = (filled(table, [4] * 200, key).vectors_BK1V[:, 1:, :D] for key in (3, 3, 4000))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(first.mean()) < 0.1 and first.min() < -0.95 and first.max() > 0.95


@pytest.mark.parametrize("action_size", [0, D])
def test_journal_returns_the_vectors_and_its_bytes_are_those_of_before_without_them(action_size):
    layout = JournalLayout((2,), "float32", A, action_size)
    record = make_record(0, end=1, action_size=action_size)
    buffer = encode_record(layout, 7, record, actor=1, epoch=2)
    seal(buffer, 0)
    head = parse_record_header(bytes(buffer[:40]))
    stored = decode_payload(layout, head, bytes(buffer[40:]), 1)
    assert named(stored.record.steps).keys() == named(record.steps).keys()
    for name, array in named(record.steps).items():
        np.testing.assert_array_equal(named(stored.record.steps)[name], array)
    assert JournalLayout.from_dict(layout.to_dict()) == layout
    assert ("action_size" in layout.to_dict()) is bool(action_size)
    assert file_version(bytes(file_header(layout, 3)), layout, 3) == 1
    assert file_version(bytes(file_header(layout, 3)), layout._replace(action_size=D + 1), 3) is None
    without = record_bytes(JournalLayout((2,), "float32", A), LENGTH)
    assert record_bytes(layout, LENGTH) == without + 4 * LENGTH * V * bool(action_size)


def test_record_with_a_vector_that_is_not_finite_is_refused():
    record = make_record(0, end=1)
    assert fault_of(record) is None
    record.steps.vectors[2, 1] = np.nan
    assert fault_of(record) == "vectors holds NaN or infinity"


def test_games_with_a_list_of_actions_have_none_of_it():
    plain = Sizes(LENGTH, **GAME, batch_size=2, num_unroll_steps=UNROLL, num_trees=2)
    for record in (Steps, Trajectory, BatchSlot, FreshTargets):
        assert {"vectors", "candidates"} & {field.name for field in RecordLayout.of(record, plain).fields} == set()
    lanes = [lane_layout(2, 3, A, (4,), "float32", size) for size in (0, D)]
    assert "candidates" not in lanes[0].views(bytearray(lanes[0].nbytes))
    assert lanes[1].nbytes > lanes[0].nbytes == lane_layout(2, 3, A, (4,), "float32").nbytes
    assert bytes_per_transition((2,), "float32", A, D) == bytes_per_transition((2,), "float32", A) + 4 * V
