"""Observation spaces as frames."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from mzpipe.games.gymnasium_frames import frame_kind, is_guessed


def frames(space, observations):
    kind = frame_kind(space)
    frame_BF = kind.convert(np.asarray(observations))
    assert frame_BF.shape == (len(observations), *kind.shape)
    assert frame_BF.dtype == kind.dtype
    return frame_BF.tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.bool_])
def test_vectors_of_any_numbers_are_float32(dtype):
    space = Box(0, 1, (3,), dtype)
    assert frames(space, np.array([[0, 1, 1], [1, 0, 0]], dtype)) == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert frame_kind(space).dtype == "float32"


def test_a_single_number_is_a_vector_of_one():
    assert frames(Box(-1.0, 1.0, (), np.float64), np.array([0.5, -0.5])) == [[0.5], [-0.5]]


def test_vectors_of_bytes_stay_bytes():
    assert frame_kind(Box(0, 255, (128,), np.uint8))[:2] == ((128,), "uint8")


@pytest.mark.parametrize(
    ("shape", "frame_shape"),
    [
        ((6, 5, 3), (3, 6, 5)),
        ((3, 6, 5), (3, 6, 5)),
        ((6, 5), (1, 6, 5)),
        ((4, 4, 4), (4, 4, 4)),
        ((6, 5, 1), (1, 6, 5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_become_channels_first(shape, frame_shape, dtype):
    space = Box(0, 255, shape, dtype)
    assert frame_kind(space)[:2] == (frame_shape, np.dtype(dtype).name)
    assert frame_kind(space).convert(np.zeros((2, *shape), dtype)).flags.c_contiguous


def test_the_channels_of_an_image_keep_their_pixels():
    image = np.arange(24, dtype=np.uint8).reshape(1, 4, 2, 3)
    (frame,) = frame_kind(Box(0, 255, (4, 2, 3), np.uint8)).convert(image)
    assert np.array_equal(frame[2], image[0, :, :, 2])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32])
def test_planes_of_ones_are_255_so_that_networks_see_ones(dtype):
    assert frames(Box(0, 1, (1, 2), dtype), np.array([[[0, 1]]], dtype)) == [[[[0, 255]]]]


def test_discrete_observations_are_one_hot_from_their_start():
    assert frames(Discrete(3, start=2), [2, 4]) == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_multi_discrete_observations_are_one_hots_side_by_side():
    space = MultiDiscrete([2, 3], start=[0, 1])
    assert frames(space, [[1, 1], [0, 3]]) == [[0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0]]


def test_multi_binary_observations_are_laid_flat():
    assert frames(MultiBinary([2, 2]), np.array([[[0, 1], [1, 1]]], np.int8)) == [[0.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize("space", [Dict(a=Discrete(2)), Tuple([Discrete(2)]), Text(3), Box(0, 1, (1, 2, 3, 4))])
def test_other_spaces_have_no_frames(space):
    assert frame_kind(space) is None


@pytest.mark.parametrize(
    ("shape", "is_open"),
    [
        ((84, 84, 3), False),
        ((3, 84, 84), False),
        ((10, 10, 7), True),
        ((16, 10, 10), True),
        ((4, 4, 4), True),
        ((6, 5), False),
    ],
)
def test_channels_are_guessed_where_both_ends_of_a_shape_may_have_them_or_neither(shape, is_open):
    assert is_guessed(Box(0, 255, shape, np.uint8)) is is_open


def test_more_planes_than_rows_keep_their_places_when_the_profile_says_where_they_are():
    planes = np.arange(16 * 10 * 10, dtype=np.float32).reshape(1, 16, 10, 10)
    space = Box(0, np.inf, (16, 10, 10))
    first, last = (frame_kind(space, channels) for channels in ("first", "last"))
    assert np.array_equal(first.convert(planes), planes)
    assert (last.shape, last.convert(planes)[0, 3, 2, 1]) == ((10, 16, 10), planes[0, 2, 1, 3])
