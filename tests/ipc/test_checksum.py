"""CRC32C kernels against the package, under every set of instructions that this processor can be told to do without."""

import os
import subprocess
import sys

import numpy as np
import pytest
from crc32c import crc32c as oracle
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from mzpipe.ipc import instructions
from mzpipe.ipc.checksum import NOT_FINITE, checksum, copy_floats, crc32c

MAX_BYTES = 5_000
# Lengths around whole blocks, vectors and words, whatever the width.
EDGES = st.sampled_from([block + more for block in (0, 64, 128, 256, 512, 1024) for more in (-8, -4, -1, 0, 1, 4, 8)])
LENGTHS = st.one_of(st.integers(0, MAX_BYTES), EDGES.filter(lambda length: length >= 0))
SETS = {"none": "", "crc32": "+sse4.2,+crc32", "128": "+sse4.2,+crc32,+pclmul", "256": "+avx2,+crc32,+vpclmulqdq"}


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Before hypothesis looks at its watch."""
    checksum(np.zeros(1, np.uint8))
    copied(np.zeros(1, np.float32))


def drawn(seed, nbytes):
    return np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)


@given(length=LENGTHS, shift=st.integers(0, 63), seed=st.integers(0, 2**32 - 1))
@example(length=9, shift=0, seed=0)
def test_crc32c_is_the_packages_for_any_length_and_alignment(length, shift, seed):
    data = drawn(seed, length + shift)[shift:]
    assert crc32c(data.ctypes.data, length) == oracle(data.data)


@given(st.binary(max_size=MAX_BYTES))
@example(b"123456789")
@example(bytes(1_000))
@example(b"\xff" * 1_000)
def test_crc32c_is_the_packages_for_any_contents(data):
    assert checksum(np.frombuffer(data, np.uint8)) == oracle(data)


def test_crc32c_is_that_of_the_standard():
    assert checksum(np.frombuffer(b"123456789", np.uint8)) == 0xE3069283  # the check value of CRC-32/ISCSI


def test_crc32c_changes_with_every_bit():
    data = drawn(1, 700)
    whole = checksum(data)
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        assert checksum(data) != whole
        data[bit // 8] ^= 1 << bit % 8


def copied(weights, shift=0):
    """What copy_floats gives, and its copy, `shift` floats from a boundary, with what lies beside it."""
    guarded = np.full(len(weights) + shift + 2, 7, np.float32)
    target = guarded[shift + 1 : len(weights) + shift + 1]
    return copy_floats(weights.ctypes.data, target.ctypes.data, len(weights)), target, guarded


@given(length=LENGTHS, source_shift=st.integers(0, 15), target_shift=st.integers(0, 15), seed=st.integers(0, 2**32 - 1))
def test_copy_floats_copies_bit_for_bit_nothing_beside_and_gives_the_packages_crc(
    length, source_shift, target_shift, seed
):
    weights = np.random.default_rng(seed).standard_normal(length // 4 + source_shift, np.float32)[source_shift:]
    crc, target, guarded = copied(weights, target_shift)
    assert crc == oracle(weights.data)
    assert target.tobytes() == weights.tobytes()
    assert (np.delete(guarded, slice(target_shift + 1, target_shift + 1 + len(weights))) == 7).all()


@given(place=st.integers(0, 999), shift=st.integers(0, 15), bad=st.sampled_from([np.nan, -np.nan, np.inf, -np.inf]))
def test_copy_floats_finds_one_number_that_is_not_finite_wherever_it_is(place, shift, bad):
    weights = np.random.default_rng(0).standard_normal(1_000, np.float32)
    weights[place] = bad
    crc, target, _ = copied(weights, shift)
    assert crc == NOT_FINITE
    assert target.tobytes() == weights.tobytes()


def test_copy_floats_takes_the_largest_number_and_those_next_to_zero_for_finite():
    limits = np.finfo(np.float32)
    weights = np.tile(np.array([limits.max, limits.min, limits.tiny, -0.0, limits.smallest_subnormal], np.float32), 99)
    assert copied(weights)[0] == oracle(weights.data)


def test_copy_floats_drains_its_stores_before_it_returns():
    """Without the sfence a version could be seen before its last lines are."""
    if not instructions.VECTOR_BITS:
        pytest.skip("no stores past the caches on this processor")
    (assembly,) = njit("int64(int64, int64, int64)")(copy_floats.py_func).inspect_asm().values()
    assert "movnt" in assembly
    assert assembly.rindex("sfence") > assembly.rindex("movnt")


@pytest.mark.slow
@pytest.mark.skipif("CRC32C_CHILD" in os.environ, reason="this is one of those runs")
@pytest.mark.parametrize("name", SETS)
def test_kernels_are_the_same_with_fewer_instructions(name, tmp_path):
    """All the others again, compiled for a processor without: what a kernel chooses, it can also do without."""
    environment = {
        "CRC32C_CHILD": "1",
        "XDG_CACHE_HOME": str(tmp_path),
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": SETS[name],
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout
