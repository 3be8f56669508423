"""Torch twins of `mzpipe.targets`: scalar <-> categorical over integer support [-n, n].

Shape legend    ... any leading axes   M = 2n + 1 bins
"""

import torch
from torch import Tensor

from ..targets.support import EPSILON


def transform(scalar: Tensor) -> Tensor:
    """h(x) = sign(x) (sqrt(|x| + 1) - 1) + eps x (R2D2's form of MuZero appendix F)."""
    return torch.sign(scalar) * (torch.sqrt(scalar.abs() + 1.0) - 1.0) + EPSILON * scalar


def inverse_transform(scalar: Tensor) -> Tensor:
    """The inverse of `transform`."""
    root = torch.sqrt(1.0 + 4.0 * EPSILON * (scalar.abs() + 1.0 + EPSILON))
    return torch.sign(scalar) * (((root - 1.0) / (2.0 * EPSILON)) ** 2 - 1.0)


def two_hot(scalar: Tensor, bins_M: Tensor) -> tuple[Tensor, Tensor]:
    """(target_M, clipped): weights on the two neighbours of each transformed scalar; which were out of range.

    Every bin gets 1 minus its distance, at least 0; a NaN stays a NaN in every bin.
    """
    transformed = transform(scalar)
    inside = torch.clamp(transformed, bins_M[0], bins_M[-1])
    target = (1.0 - (inside.unsqueeze(-1) - bins_M).abs()).clamp(min=0.0)
    return target, inside != transformed


def expected_scalar(logits_M: Tensor, bins_M: Tensor) -> Tensor:
    """Softmax, expectation over the bins, then the inverse transform."""
    return inverse_transform(torch.softmax(logits_M, dim=-1) @ bins_M)
