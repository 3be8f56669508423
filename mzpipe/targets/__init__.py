"""Training targets: scalars as categories, n-step values, unrolls. numpy and Numba only."""

from .n_step import n_step_value_at, n_step_values
from .support import (
    scalar_to_support,
    support_to_scalar,
    value_transform,
    value_transform_inverse,
)
from .unroll import EpisodeSteps, UnrollTargets, allocate_unroll_targets, unroll_targets

__all__ = [
    "EpisodeSteps",
    "UnrollTargets",
    "allocate_unroll_targets",
    "n_step_value_at",
    "n_step_values",
    "scalar_to_support",
    "support_to_scalar",
    "unroll_targets",
    "value_transform",
    "value_transform_inverse",
]
