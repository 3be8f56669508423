"""Torch twins of `mzpipe.targets`: scalar <-> categorical over integer support [-n, n], and the scalar of a head.

Shape legend    ... any leading axes   M = 2n + 1 bins
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ..targets.support import EPSILON

# Keeps a constant hidden state finite; far below the spread of any trained network.
_MIN_SPREAD = 1e-5


def scale_hidden_state(hidden_state: Tensor) -> Tensor:
    """Min-max scales each sample to [0, 1] over its whole hidden state, all axes but the first."""
    flat = hidden_state.flatten(1)
    low, high = torch.aminmax(flat, dim=1, keepdim=True)
    return ((flat - low) / (high - low).clamp(min=_MIN_SPREAD)).view_as(hidden_state)


def halve_gradient(hidden_state: Tensor) -> Tensor:
    """The same values with half the gradient (MuZero appendix G, at the entry of each dynamics call)."""
    return 0.5 * hidden_state + 0.5 * hidden_state.detach()


def transform(scalar: Tensor) -> Tensor:
    """h(x) = sign(x) (sqrt(|x| + 1) - 1) + eps x (R2D2's form of MuZero appendix F)."""
    return torch.sign(scalar) * (torch.sqrt(scalar.abs() + 1.0) - 1.0) + EPSILON * scalar


def inverse_transform(scalar: Tensor) -> Tensor:
    """The inverse of `transform`, with (r - 1) / 2 eps written as 2 u / (1 + r), which subtracts no near equals."""
    shifted = scalar.abs() + 1.0 + EPSILON
    root = torch.sqrt(1.0 + 4.0 * EPSILON * shifted)
    return torch.sign(scalar) * ((2.0 * shifted / (1.0 + root)) ** 2 - 1.0)


def two_hot(scalar: Tensor, bins_M: Tensor) -> tuple[Tensor, Tensor]:
    """(target_M, clipped): weights on the two neighbours of each transformed scalar; which scalars were out of range.

    Every bin gets 1 minus its distance, at least 0; a NaN stays a NaN in every bin.
    """
    transformed = transform(scalar)
    inside = torch.clamp(transformed, bins_M[0], bins_M[-1])
    target = (1.0 - (inside.unsqueeze(-1) - bins_M).abs()).clamp(min=0.0)
    return target, inside != transformed


def expected_scalar(logits_M: Tensor, bins_M: Tensor) -> Tensor:
    """Softmax, expectation over the bins, then the inverse transform, at least in the bins' own precision.

    A product in bfloat16 would round the expectation to 8 bits: 2.0 would become 2.008.
    """
    with _no_autocast(bins_M.device.type):
        if logits_M.dtype != bins_M.dtype:
            logits_M = logits_M.to(bins_M.dtype)
        return inverse_transform(torch.softmax(logits_M, dim=-1) @ bins_M)


def _no_autocast(device_type: str) -> AbstractContextManager:
    """Leaves autocast; a device that has none, like meta, refuses its context."""
    is_available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if is_available else nullcontext()


def head_scalar(outputs_M: Tensor, bins_M: Tensor | None) -> Tensor:
    """The scalar of a head's outputs: the expectation over the bins, or without bins (M = 1) the number itself."""
    return outputs_M.squeeze(-1) if bins_M is None else expected_scalar(outputs_M, bins_M)
