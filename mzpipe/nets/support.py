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


def two_hot(scalar: Tensor, support_size: int) -> tuple[Tensor, Tensor]:
    """(target_M, clipped): weights on the two neighbours of each transformed scalar; which were out of range."""
    transformed = transform(scalar)
    inside = transformed.clamp(-support_size, support_size)
    low = inside.floor()
    high_weight = inside - low
    low_index = low.long() + support_size
    target = torch.zeros(*scalar.shape, 2 * support_size + 1, device=scalar.device)
    target.scatter_(-1, low_index.unsqueeze(-1), (1.0 - high_weight).unsqueeze(-1))
    high_index = (low_index + 1).clamp(max=2 * support_size).unsqueeze(-1)
    target.scatter_add_(-1, high_index, high_weight.unsqueeze(-1))
    return target, inside != transformed


def expected_scalar(logits_M: Tensor, bins_M: Tensor) -> Tensor:
    """Softmax, expectation over the bins, then the inverse transform."""
    return inverse_transform(torch.softmax(logits_M, dim=-1) @ bins_M)
