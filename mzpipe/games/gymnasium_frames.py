"""Frames from the observations of gymnasium environments.

| observation space | frame |
|---|---|
| Box, a vector or a number | float32 [D] |
| Box, an image [Y, X], [Y, X, C] or [C, Y, X] | [C, Y, X], float32 where its numbers are |
| Discrete(n) | float32 [n], one-hot |
| MultiDiscrete | float32, the one-hots of its parts, joined |
| MultiBinary | float32, flattened |

uint8 stays uint8, which networks see divided by 255; in images of integers with only 0 and 1, 1 becomes 255. The
channels of an image are the axis that `game.gymnasium.image_channels` says. Without it they are the last axis, unless
the first is shorter, but `is_guessed` says whether that may be wrong.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

_SET = np.uint8(255)
_AUTO = "auto"
# Pictures have one channel, three colours, or colours with transparency.
_MOST_CHANNELS = 4


class FrameKind(NamedTuple):
    """One frame's shape and dtype, and how a batch of observations becomes frames; arrays may be the batch's own."""

    shape: tuple[int, ...]
    dtype: str
    convert: Callable[[np.ndarray], np.ndarray]


def frame_kind(space: Space, image_channels: str = _AUTO) -> FrameKind | None:
    """The kind of frame for observations of `space`; None if there is none."""
    if isinstance(space, Discrete):
        return _one_hots(np.array([space.n]), np.array([space.start]))
    if isinstance(space, MultiDiscrete):
        return _one_hots(space.nvec.ravel(), space.start.ravel())
    if isinstance(space, MultiBinary):
        return _vector(prod(space.shape), "float32")
    if isinstance(space, Box) and len(space.shape) < 2:
        return _vector(prod(space.shape), "uint8" if space.dtype == np.uint8 else "float32")
    if isinstance(space, Box) and len(space.shape) < 4:
        return _image(space, image_channels)
    return None


def is_image(space: Space) -> bool:
    """Whether observations have channels, which may be the first axis or the last."""
    return isinstance(space, Box) and len(space.shape) == 3


def is_guessed(space: Space) -> bool:
    """Whether the shape leaves open which axis of an image has the channels: at both ends it may, or at neither."""
    if not isinstance(space, Box) or not is_image(space):
        return False
    return (space.shape[0] <= _MOST_CHANNELS) == (space.shape[2] <= _MOST_CHANNELS)


def _vector(size: int, dtype: str) -> FrameKind:
    return FrameKind((size,), dtype, lambda values_B: values_B.reshape(len(values_B), size).astype(dtype, copy=False))


def _one_hots(num_values: np.ndarray, start: np.ndarray) -> FrameKind:
    """Frames with one part of `num_values` entries for each number, which counts from `start`."""
    offsets = np.cumsum(num_values) - num_values - start

    def convert(values_B: np.ndarray) -> np.ndarray:
        frame_BF = np.zeros((len(values_B), int(num_values.sum())), np.float32)
        np.put_along_axis(frame_BF, values_B.reshape(len(values_B), len(num_values)) + offsets, 1.0, axis=1)
        return frame_BF

    return FrameKind((int(num_values.sum()),), "float32", convert)


def _image(space: Box, image_channels: str) -> FrameKind:
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    guessed = len(space.shape) < 3 or image_channels == _AUTO
    channels_first = shape[0] < shape[-1] if guessed else image_channels == "first"
    is_binary = space.dtype.kind in "bui" and bool((space.low >= 0).all() and (space.high <= 1).all())
    dtype = "uint8" if is_binary or space.dtype == np.uint8 else "float32"

    def convert(image_B: np.ndarray) -> np.ndarray:
        image_B = image_B.reshape(len(image_B), *shape)
        frame_BF = image_B if channels_first else np.moveaxis(image_B, -1, 1)
        frame_BF = np.ascontiguousarray(frame_BF, dtype)
        return frame_BF * _SET if is_binary else frame_BF

    return FrameKind(shape if channels_first else (shape[2], *shape[:2]), dtype, convert)
