"""Compressed frames: exact to the bit, bounded, first in first out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.replay.compressed import FRAMES_PER_BLOCK, INDEX_BYTES_PER_STEP, CompressedFrames, FrameCodec
from tests.memory import resident_growth

SHAPE = (3, 5)


def make_frames(capacity_bytes=2000, max_steps=64, shape=SHAPE, dtype="uint8"):
    return CompressedFrames(capacity_bytes=capacity_bytes, max_steps=max_steps, frame_shape=shape, frame_dtype=dtype)


def noise(rng, num_frames, shape=SHAPE, dtype="uint8"):
    """Frames of random bytes: zstd makes them larger; among floats there are NaNs of many kinds."""
    nbytes = num_frames * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(rng.bytes(nbytes), dtype).reshape(num_frames, *shape)


def read(frames, steps, shape=SHAPE, dtype="uint8"):
    out_NF = np.zeros((len(steps), int(np.prod(shape))), dtype)
    frames.read(np.asarray(steps, np.int64), out_NF)
    return out_NF


@given(
    shape=st.sampled_from([(), (1,), (7,), (1, 84, 84), (3, 5, 2)]),
    dtype=st.sampled_from(["uint8", "bool", "int16", "float16", "float32", "float64"]),
    length=st.integers(1, 3 * FRAMES_PER_BLOCK),
    still=st.booleans(),
    data=st.data(),
)
@settings(max_examples=60)
def test_frames_come_back_bit_for_bit(shape, dtype, length, still, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    new = noise(rng, length, shape, "uint8").astype(bool) if dtype == "bool" else noise(rng, length, shape, dtype)
    if still:
        new = np.repeat(new[:1], length, axis=0)
    frames = make_frames(1 << 21, 64, shape, dtype)
    first = data.draw(st.integers(0, 2**40))
    frames.put(first, frames.encode(new))
    places = data.draw(st.lists(st.integers(0, length - 1), max_size=40))
    assert read(frames, [first + place for place in places], shape, dtype).tobytes() == new[places].tobytes()


def test_encoding_frames_that_do_not_lie_together_gives_the_same():
    new = np.random.default_rng(0).integers(0, 255, (40, *SHAPE), np.uint8)
    codec = FrameCodec(SHAPE, "uint8")
    assert codec.encode(new[::2]) == codec.encode(new[::2].copy())


def random_trajectory(rng):
    """Noise or a still scene, of random length."""
    new = noise(rng, int(rng.integers(1, 30)))
    return new if rng.random() < 0.5 else np.repeat(new[:1], len(new), axis=0)


@pytest.mark.parametrize("seed", range(8))
def test_frames_agree_with_a_dictionary_after_random_operations(seed):
    rng = np.random.default_rng(seed)
    frames = make_frames(int(rng.integers(600, 3000)), int(rng.integers(30, 300)))
    oracle: dict[int, np.ndarray] = {}
    allocated, wrapped = frames.nbytes, 0
    for _ in range(400):
        new = random_trajectory(rng)
        encoded = frames.encode(new)
        assert frames.can_hold(encoded)
        while not frames.fits(encoded):
            step = int(rng.integers(frames.tail, frames.head)) + 1
            frames.drop_until(step)
            oracle = {s: frame for s, frame in oracle.items() if s >= step}
        before, head = frames._end, frames.head
        frames.put(head, encoded)
        wrapped += frames._end // frames.capacity_bytes > before // frames.capacity_bytes
        oracle |= {head + offset: frame for offset, frame in enumerate(new)}
        assert list(range(frames.tail, frames.head)) == sorted(oracle)
        assert frames._end - frames._begin <= frames.capacity_bytes
        assert 0 < frames.stored_bytes <= frames.capacity_bytes
        assert len(oracle) <= frames.max_steps
        asked = rng.choice(list(oracle), 20)
        assert (read(frames, asked) == np.stack([oracle[step].ravel() for step in asked])).all()
    assert wrapped > 5
    assert frames.nbytes == allocated == frames.capacity_bytes + frames.max_steps * INDEX_BYTES_PER_STEP
    assert (read(frames, sorted(oracle)) == np.stack([oracle[step].ravel() for step in sorted(oracle)])).all()


def test_read_fills_only_the_rows_it_is_told():
    frames = make_frames()
    new = noise(np.random.default_rng(0), 10)
    frames.put(0, frames.encode(new))
    out_RF = np.full((4, 15), 9, np.uint8)
    frames.read(np.array([9, 2, 2]), out_RF, np.array([3, 0, 1]))
    assert (out_RF[[3, 0, 1]] == new[[9, 2, 2]].reshape(3, -1)).all()
    assert (out_RF[2] == 9).all()


def test_read_decodes_each_block_once(monkeypatch):
    frames = make_frames()
    frames.put(0, frames.encode(noise(np.random.default_rng(0), 3 * FRAMES_PER_BLOCK)))
    decoded, decode = [], frames._codec.decode
    monkeypatch.setattr(frames._codec, "decode", lambda block: decoded.append(bytes(block)) or decode(block))
    read(frames, [0, FRAMES_PER_BLOCK, 1, FRAMES_PER_BLOCK + 1, 0])
    assert len(decoded) == len(set(decoded)) == 2


@pytest.mark.parametrize("step", [3, 20])
def test_read_of_a_step_that_is_not_stored_names_step_and_range_and_writes_nothing(step):
    frames = make_frames()
    frames.put(0, frames.encode(noise(np.random.default_rng(0), 20)))
    frames.drop_until(4)
    out_RF = np.full((2, 15), 9, np.uint8)
    with pytest.raises(IndexError, match=rf"step {step} is not stored: .* steps \[4, 20\)"):
        frames.read(np.array([5, step]), out_RF)
    assert (out_RF == 9).all()


@pytest.mark.parametrize("out", [np.zeros((2, 15), np.float32), np.zeros((2, 14), np.uint8)])
def test_read_refuses_a_destination_of_another_kind(out):
    frames = make_frames()
    frames.put(0, frames.encode(noise(np.random.default_rng(0), 2)))
    with pytest.raises(ValueError, match=r"out_RF is .*: expected uint8 \(R, 15\)"):
        frames.read(np.array([0, 1]), out)


@pytest.mark.parametrize("new", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 3, 5), np.float32)])
def test_encode_refuses_frames_of_another_kind(new):
    with pytest.raises(ValueError, match=r"frames are .*: expected uint8 \(N, \(3, 5\)\)"):
        make_frames().encode(new)


def test_put_refuses_a_gap_and_changes_nothing():
    frames = make_frames()
    frames.put(7, frames.encode(noise(np.random.default_rng(0), 3)))
    with pytest.raises(ValueError, match=r"first_step=11 does not follow the stored steps \[7, 10\)"):
        frames.put(11, frames.encode(noise(np.random.default_rng(1), 3)))
    assert (frames.tail, frames.head) == (7, 10)


@pytest.mark.parametrize(("capacity_bytes", "max_steps"), [(200, 64), (2000, 10)])
def test_trajectory_too_large_for_the_tier_is_refused_and_changes_nothing(capacity_bytes, max_steps):
    frames = make_frames(capacity_bytes, max_steps)
    rng = np.random.default_rng(0)
    new = noise(rng, 4)
    frames.put(0, frames.encode(new))
    large = frames.encode(noise(rng, 30))
    assert not frames.can_hold(large)
    with pytest.raises(ValueError, match=r"30 frames in \d+ bytes do not fit: 4 of max_steps=\d+ and \d+ of"):
        frames.put(4, large)
    assert (read(frames, range(4)) == new.reshape(4, -1)).all()
    frames.drop_until(34)
    assert not frames.fits(large)
    assert frames.tail == frames.head == 34


def test_what_can_be_held_fits_once_all_else_is_gone():
    rng = np.random.default_rng(0)
    new = noise(rng, 20)
    nbytes = FrameCodec(SHAPE, "uint8").encode(new).nbytes
    frames = make_frames(nbytes, 20)
    for start in range(0, 100, 20):
        encoded = frames.encode(new)
        assert frames.can_hold(encoded)
        frames.put(start, encoded)
        assert frames.stored_bytes == frames.capacity_bytes
        assert (read(frames, range(start, start + 20)) == new.reshape(20, -1)).all()
        assert not frames.fits(frames.encode(new[:1]))
        frames.drop_until(start + 20)


def test_bytes_of_a_block_are_free_when_its_last_step_is_dropped():
    frames = make_frames()
    encoded = frames.encode(noise(np.random.default_rng(0), 2 * FRAMES_PER_BLOCK))
    frames.put(0, encoded)
    frames.drop_until(FRAMES_PER_BLOCK - 1)
    assert frames.stored_bytes == encoded.nbytes
    frames.drop_until(FRAMES_PER_BLOCK)
    assert frames.stored_bytes == len(encoded.blocks[1])
    frames.drop_until(0)
    assert frames.tail == FRAMES_PER_BLOCK
    frames.drop_until(2 * FRAMES_PER_BLOCK)
    assert (frames.stored_bytes, frames.ratio) == (0, 1.0)


def test_ratio_is_raw_over_compressed_bytes():
    frames = make_frames()
    encoded = frames.encode(np.zeros((16, *SHAPE), np.uint8))
    frames.put(0, encoded)
    assert frames.ratio == 16 * 15 / encoded.nbytes > 1


def test_memory_is_touched_when_it_is_allocated():
    setup = "from mzpipe.replay.compressed import CompressedFrames"
    sizes = "capacity_bytes=64 << 20, max_steps=1 << 20, frame_shape=(84, 84), frame_dtype='uint8'"
    nbytes = (64 << 20) + 13 * (1 << 20)
    assert resident_growth(setup, f"CompressedFrames({sizes})") > 0.95 * nbytes


@pytest.mark.parametrize(
    ("changed", "text"),
    [({"capacity_bytes": 0}, "capacity_bytes=0"), ({"max_steps": 0}, "max_steps=0"), ({"shape": (0, 3)}, "one number")],
)
def test_an_empty_size_is_refused(changed, text):
    with pytest.raises(ValueError, match=text):
        make_frames(**changed)
