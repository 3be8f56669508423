"""Scalars as categories: the value transform and the two-hot support.

    h(x)    = sign(x) * (sqrt(|x| + 1) - 1) + eps * x                                  eps = 0.001
    h^-1(y) = sign(y) * (((sqrt(1 + 4 eps (|y| + 1 + eps)) - 1) / (2 eps))^2 - 1)

The equations are from Pohlen et al. 2018, in the form of R2D2 (MuZero's appendix F
misprints them for x < 0). The support is the integers -n .. n in transformed space,
n = support_size: a transformed 3.7 puts 0.3 on 3 and 0.7 on 4.

Shape legend    `...` any shape, the same in and out   S = 2 * support_size + 1 bins, the last axis
Numerics        float64 inside: h^-1(h(x)) is within 1e-4 of x over +-1e5.
"""

import numpy as np

from ..errors import SearchInputError

EPSILON = 0.001


def value_transform(x: np.ndarray) -> np.ndarray:
    """h(x), float64: shrinks large magnitudes, keeps the sign."""
    x = np.asarray(x, np.float64)
    return np.sign(x) * (np.sqrt(np.abs(x) + 1.0) - 1.0) + EPSILON * x


def value_transform_inverse(y: np.ndarray) -> np.ndarray:
    """h^-1(y), float64."""
    y = np.asarray(y, np.float64)
    root = (np.sqrt(1.0 + 4.0 * EPSILON * (np.abs(y) + 1.0 + EPSILON)) - 1.0) / (2.0 * EPSILON)
    return np.sign(y) * (root * root - 1.0)


def scalar_to_support(x: np.ndarray, support_size: int) -> np.ndarray:
    """[..., S] float32: h(x), clipped to the support and split between its two nearest integers.

    Raises SearchInputError for NaN and for a support without room. Infinities are clipped.
    """
    y = np.clip(_transformed(x, support_size), -support_size, support_size)
    lower = np.minimum(np.floor(y), support_size - 1)
    weight = (y - lower)[..., None]
    bin_index = (lower + support_size).astype(np.int64)[..., None]
    two_hot = np.zeros((*y.shape, 2 * support_size + 1), np.float32)
    np.put_along_axis(two_hot, bin_index, (1.0 - weight).astype(np.float32), axis=-1)
    np.put_along_axis(two_hot, bin_index + 1, weight.astype(np.float32), axis=-1)
    return two_hot


def support_to_scalar(probabilities: np.ndarray, support_size: int) -> np.ndarray:
    """[...] float64: h^-1 of the expectation of [..., S] probabilities."""
    probabilities = np.asarray(probabilities)
    bins = 2 * support_size + 1
    if probabilities.ndim == 0 or probabilities.shape[-1] != bins:
        raise SearchInputError(f"probabilities of shape {probabilities.shape}: the last axis must hold {bins} bins")
    support_S = np.arange(-support_size, support_size + 1, dtype=np.float64)
    return value_transform_inverse(probabilities @ support_S)


def _transformed(x: np.ndarray, support_size: int) -> np.ndarray:
    if support_size < 1:
        raise SearchInputError(f"support_size={support_size} must be at least 1")
    y = value_transform(x)
    if np.isnan(y).any():
        raise SearchInputError("x holds NaN: a target must be a number")
    return y
