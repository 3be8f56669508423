"""The schema: each field of a record says what it is, and one that is added arrives everywhere."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mzpipe.ipc.columns import (
    FRAME_DTYPE,
    Column,
    RecordLayout,
    Sizes,
    allocate,
    columns,
    copied,
    fields,
    named,
    nbytes,
)
from mzpipe.ipc.schema import BatchSlot, FreshTargets, Keys, Positions, Priorities, Steps, Trajectory, Unrolls
from mzpipe.replay.journal import Journal
from mzpipe.replay.sizes import StepColumns, TrajectoryColumns
from tests.replay.journal.samples import LAYOUT, append

SIZES = Sizes(
    length=5,
    num_actions=3,
    frame_shape=(1, 4, 4),
    frame_dtype="uint8",
    frame_stack=4,
    batch_size=6,
    num_unroll_steps=2,
    num_trees=7,
)
RECORDS = [Trajectory, BatchSlot, Priorities, Positions, FreshTargets]
ROWS = [Steps, Keys, Unrolls, StepColumns, TrajectoryColumns]


def over_a_buffer(record, sizes=SIZES):
    layout = RecordLayout.of(record, sizes)
    return layout.record(bytearray(layout.nbytes))


@pytest.mark.parametrize("record", RECORDS + ROWS)
def test_every_field_says_what_it_is(record):
    assert len(fields(record, SIZES)) == len({field.name for field in fields(record, SIZES)})
    for attribute, column in columns(record).items():
        assert column.meaning, attribute
        assert column.dtype == FRAME_DTYPE or np.dtype(column.dtype).name == column.dtype
    if record in ROWS:
        assert tuple(columns(record)) == record._fields


def test_trajectory_has_a_row_per_transition_of_every_column_of_steps():
    record = over_a_buffer(Trajectory)
    assert record.frame.shape == (5, 1, 4, 4)
    assert [array.shape for array in named(record.steps).values()] == [(5,), (5,), (5,), (5, 3), (5, 3), (5,), (5,)]
    assert [array.shape for array in record[:6]] == [(1,)] * 6


def test_batch_has_a_row_per_unroll_and_keys_as_its_priorities_have():
    slot, answer = over_a_buffer(BatchSlot), over_a_buffer(Priorities)
    assert slot.unrolls.policy_target_BK1A.shape == (6, 3, 3)
    assert slot.unrolls.frame_BF.shape == (6, 4, 1, 4, 4)
    assert slot.unrolls.observation.shape == (6, 4, 4, 4)
    assert slot.keys._fields == answer.keys._fields
    assert all(array.shape == (6,) for array in (*slot.keys, *answer.keys, answer.priority_B))


def test_arrays_without_their_switch_are_none():
    assert over_a_buffer(BatchSlot).unrolls.observation_mask_BK is None
    sizes = Sizes(frame_shape=(4,), batch_size=6, num_unroll_steps=2, next_observations=True)
    assert over_a_buffer(BatchSlot, sizes).unrolls.observation_mask_BK.shape == (6, 2)


@pytest.mark.parametrize("next_observations", [False, True])
@pytest.mark.parametrize("frame_shape", [(5,), (3, 4, 6)])
def test_unroll_has_each_frame_once_and_its_observation_is_a_view_of_the_first_ones(frame_shape, next_observations):
    sizes = Sizes(
        frame_shape=frame_shape,
        frame_stack=4,
        batch_size=6,
        num_unroll_steps=2,
        next_observations=next_observations,
    )
    unrolls = over_a_buffer(BatchSlot, sizes).unrolls
    assert unrolls.frame_BF.shape == (6, 6 if next_observations else 4, *frame_shape)
    assert unrolls.frame_stack == 4
    unrolls.frame_BF[:] = np.random.default_rng(0).normal(size=unrolls.frame_BF.shape)
    np.testing.assert_array_equal(unrolls.observation, np.concatenate(np.moveaxis(unrolls.frame_BF[:, :4], 1, 0), 1))
    assert unrolls.observation.shape == (6, *sizes.observation_shape)
    assert np.shares_memory(unrolls.observation, unrolls.frame_BF)


def test_names_are_attributes_without_their_shape_suffix():
    assert {"value_target", "slot", "weight"} < set(named(over_a_buffer(BatchSlot)))


@pytest.mark.parametrize("record", RECORDS)
def test_record_over_a_buffer_fills_it_and_a_copy_does_not(record):
    layout = RecordLayout.of(record, SIZES)
    buffer = bytearray(layout.nbytes)
    views = layout.record(buffer)
    copy = copied(views)
    for array in named(views).values():
        array[...] = 1
    assert [field.name for field in layout.fields] == list(named(views))
    assert sum(array.nbytes for array in named(views).values()) == nbytes(record, SIZES)
    assert sum(map(bool, buffer)) >= len(layout.fields)
    assert not any(array.any() for array in named(copy).values())


def test_allocated_columns_are_zeros_below_the_leading_axes():
    steps = allocate(Steps, SIZES, 2, 9)
    assert steps.reward.shape == (2, 9) and steps.legal_actions.shape == (2, 9, 3)
    assert not any(column.any() for column in named(steps).values())


def test_a_column_takes_the_frames_own_dtype():
    column = Column(FRAME_DTYPE, ("length", "frame_shape"), "frames")
    assert column.field("frame", Sizes(length=2, frame_shape=(3,), frame_dtype="float32")) == (
        "frame",
        "float32",
        (2, 3),
    )


@pytest.mark.slow
def test_field_that_is_declared_and_written_arrives_everywhere(tmp_path):
    """See one_more_field; `before` is a journal that was written without the field."""
    journal = Journal(tmp_path / "before", LAYOUT, segment_bytes=1 << 20)
    append(journal, 1, 2)
    assert journal.close(60.0)
    command = [sys.executable, "-m", "tests.ipc.one_more_field", str(tmp_path)]
    subprocess.run(command, check=True, timeout=250)
    found = json.loads((tmp_path / "found.json").read_text())
    written = [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 11.0, 12.0, 13.0, 14.0]
    assert found["ring"] == found["table"] == found["journal"] == found["dataset"] == written
    assert found["batch"] == written[: len(found["batch"])] != []
    assert found["before"] == [0.0] * 5  # records of two and of three transitions
    assert len(set(found["noise"])) > 1
