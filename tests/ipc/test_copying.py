"""copy_floats: bit for bit, and every number that is not finite is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.ipc.copying import copy_floats

LENGTHS, SHIFTS = st.integers(0, 300), st.integers(0, 15)


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compiles the kernel before hypothesis takes the time."""
    copied(np.zeros(1, np.float32))


def copied(weights, shift=0):
    """The result of copy_floats, and its copy, `shift` floats from a boundary, with the floats next to it."""
    guarded = np.full(len(weights) + shift + 2, 7, np.float32)
    target = guarded[shift + 1 : len(weights) + shift + 1]
    return copy_floats(weights, target), target, guarded


@given(length=LENGTHS, source_shift=SHIFTS, target_shift=SHIFTS, seed=st.integers(0, 2**32 - 1))
def test_copy_floats_copies_bit_for_bit_and_nothing_next_to_it(length, source_shift, target_shift, seed):
    weights = np.random.default_rng(seed).standard_normal(length + source_shift, np.float32)[source_shift:]
    is_finite, target, guarded = copied(weights, target_shift)
    assert is_finite
    assert target.tobytes() == weights.tobytes()
    assert (np.delete(guarded, slice(target_shift + 1, target_shift + 1 + len(weights))) == 7).all()


@given(place=st.integers(0, 999), shift=SHIFTS, bad=st.sampled_from([np.nan, -np.nan, np.inf, -np.inf]))
def test_copy_floats_finds_one_number_that_is_not_finite_wherever_it_is(place, shift, bad):
    weights = np.random.default_rng(0).standard_normal(1_000, np.float32)
    weights[place] = bad
    is_finite, target, _ = copied(weights, shift)
    assert not is_finite
    assert target.tobytes() == weights.tobytes()


def test_copy_floats_takes_the_largest_number_and_those_next_to_zero_for_finite():
    limits = np.finfo(np.float32)
    weights = np.tile(np.array([limits.max, limits.min, limits.tiny, -0.0, limits.smallest_subnormal], np.float32), 99)
    assert copied(weights)[0]
