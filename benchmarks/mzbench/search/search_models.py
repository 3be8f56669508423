"""Precomputed network outputs for the case `search`: random numbers instead of a model.

Shape legend    K = num_simulations + 1 evaluations, the root's first   B trees   A actions
"""

from typing import NamedTuple

import numpy as np

# Standard deviation of the logits: with flat priors the values decide, with peaked ones the priors do.
PRIORS = {"flat": 0.1, "peaked": 3.0}
DEFAULT_SIMULATIONS = 50


class Shape(NamedTuple):
    """The sizes and the prior of one search."""

    num_trees: int
    num_actions: int
    prior: str = "peaked"
    num_simulations: int = DEFAULT_SIMULATIONS

    def __str__(self) -> str:
        """'64x18/peaked', or '64x18x200/peaked' if the simulations are not the usual 50."""
        simulations = "" if self.num_simulations == DEFAULT_SIMULATIONS else f"x{self.num_simulations}"
        return f"{self.num_trees}x{self.num_actions}{simulations}/{self.prior}"


class Outputs(NamedTuple):
    """Outputs of every evaluation of one search, float32."""

    reward_KB: np.ndarray
    value_KB: np.ndarray
    policy_logits_KBA: np.ndarray


def random_outputs(shape: Shape, seed: int = 0) -> Outputs:
    """Standard normal rewards and values; normal logits with the standard deviation of `shape.prior`."""
    rng = np.random.default_rng(seed)
    evaluations = (shape.num_simulations + 1, shape.num_trees)
    reward_KB = rng.standard_normal(evaluations, np.float32)
    value_KB = rng.standard_normal(evaluations, np.float32)
    logits_KBA = rng.standard_normal((*evaluations, shape.num_actions), np.float32)
    return Outputs(reward_KB, value_KB, logits_KBA * np.float32(PRIORS[shape.prior]))
