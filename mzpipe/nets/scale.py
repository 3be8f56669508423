"""Hidden-state scaling and gradient scaling, shared by every kind of network."""

import torch
from torch import Tensor

# Keeps a constant hidden state finite; far below any spread that a trained network shows.
_MIN_SPREAD = 1e-5


def scale_hidden_state(hidden_state: Tensor) -> Tensor:
    """Min-max scales each sample to [0, 1] over its whole hidden state, all axes but the first."""
    flat = hidden_state.flatten(1)
    low, high = torch.aminmax(flat, dim=1, keepdim=True)
    return ((flat - low) / (high - low).clamp(min=_MIN_SPREAD)).view_as(hidden_state)


def halve_gradient(hidden_state: Tensor) -> Tensor:
    """The same values with half the gradient (MuZero appendix G, at the entry of each dynamics call)."""
    return 0.5 * hidden_state + 0.5 * hidden_state.detach()
