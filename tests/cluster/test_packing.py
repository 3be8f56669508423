"""Packing: what a record's slot gets is what was packed, and nothing else is unpacked."""

import numpy as np
import pytest
import zstandard

from mzpipe.cluster.packing import Packer
from mzpipe.errors import MessageError
from mzpipe.ipc.columns import Sizes, allocate, named
from mzpipe.ipc.schema import FreshTargets, Positions, Trajectory

VECTORS = Sizes(length=7, num_actions=3, frame_shape=(5,), frame_dtype="float32", num_trees=4, frame_stack=2)
IMAGES = Sizes(length=7, num_actions=3, frame_shape=(2, 6, 6), frame_dtype="uint8", num_trees=4, frame_stack=2)
SAMPLED = Sizes(length=7, num_actions=3, frame_shape=(5,), frame_dtype="float32", num_trees=4, action_size=2)
RULES = Sizes(length=7, num_actions=3, frame_shape=(5,), frame_dtype="int8", num_trees=4, longest_game=9)
KINDS = [(Trajectory, "length"), (Positions, "num_trees"), (FreshTargets, "num_trees")]


def random_record(kind, sizes):
    rng, record = np.random.default_rng(1), allocate(kind, sizes)
    for array in named(record).values():
        array[...] = rng.integers(0, 2, array.shape)
    return record


@pytest.mark.parametrize("sizes", [VECTORS, IMAGES, SAMPLED, RULES], ids=["vectors", "images", "sampled", "rules"])
@pytest.mark.parametrize(("kind", "axis"), KINDS, ids=lambda each: getattr(each, "__name__", each))
def test_a_record_comes_back_as_it_was_packed(kind, axis, sizes):
    record, slot, packer = random_record(kind, sizes), allocate(kind, sizes), Packer(kind, sizes, axis)
    for rows in (1, packer.max_rows - 1, packer.max_rows):
        data = packer.pack(record, rows)
        assert len(data) <= packer.largest
        packer.unpack(memoryview(data), rows, slot)
        for name, array in named(slot).items():
            used = slice(rows if packer._is_cut[name] else None)
            np.testing.assert_array_equal(array[used], named(record)[name][used], err_msg=name)


@pytest.mark.parametrize("sizes", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_rows_that_are_not_used_do_not_cross(sizes):
    packer = Packer(Trajectory, sizes, "length")
    slot = allocate(Trajectory, sizes)
    slot.frame[:] = 9
    packer.unpack(packer.pack(random_record(Trajectory, sizes), 3), 3, slot)
    assert (slot.frame[3:] == 9).all()
    assert packer.nbytes(3) < packer.nbytes(7)


def test_noise_is_not_larger_than_the_largest():
    packer, record = Packer(Trajectory, IMAGES, "length"), allocate(Trajectory, IMAGES)
    record.frame[:] = np.random.default_rng(0).integers(0, 256, record.frame.shape)
    assert len(packer.pack(record, 7)) <= packer.largest


BAD = {
    "nothing": lambda packer, rows: b"",
    "garbage": lambda packer, rows: b"\x00\xff" * 100,
    "a record of another length": lambda packer, rows: packer.pack(random_record(Trajectory, IMAGES), rows - 1),
    "a cut record": lambda packer, rows: packer.pack(random_record(Trajectory, IMAGES), rows)[:-3],
    "a record and more": lambda packer, rows: packer.pack(random_record(Trajectory, IMAGES), rows) + b"more",
}


@pytest.mark.parametrize("name", BAD)
def test_what_was_not_packed_so_is_refused_and_leaves_the_slot(name):
    packer, slot = Packer(Trajectory, IMAGES, "length"), allocate(Trajectory, IMAGES)
    with pytest.raises(MessageError):
        packer.unpack(BAD[name](packer, 5), 5, slot)
    assert all((array == 0).all() for array in named(slot).values())


def test_a_frame_of_far_more_bytes_is_refused_before_it_is_decompressed():
    """A quarter of a gigabyte of zeros in a few kilobytes."""
    packer, slot = Packer(Trajectory, IMAGES, "length"), allocate(Trajectory, IMAGES)
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    with pytest.raises(MessageError, match=f"says it has {1 << 28} bytes, expected {packer.nbytes(5)}"):
        packer.unpack(bomb, 5, slot)


@pytest.mark.parametrize("rows", [-1, 0, 8, 10**12])
def test_rows_out_of_range_are_refused(rows):
    packer, slot = Packer(Trajectory, VECTORS, "length"), allocate(Trajectory, VECTORS)
    with pytest.raises(MessageError, match=f"{rows} rows, at most 7"):
        packer.unpack(b"", rows, slot)
