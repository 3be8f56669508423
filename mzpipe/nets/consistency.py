"""Self-supervised consistency: the dynamics' next state should resemble h(next observation).

This is EfficientZero's (Ye et al. 2021, section 4.1), after SimSiam (Chen and He
2021): a projector on both branches, a predictor on the dynamics' branch only,
negative cosine similarity, no gradient into the other branch, and torch's default
initialisation. Only training needs its modules: they are in the learner's
checkpoints, never in published weights, and no other process has them.

Batch normalisation runs over all rows of a call, including rows that a mask removes
from the loss.

Shape legend    R rows (samples times unroll steps)   P projection   D hidden-state values
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from .norm import BatchNorm1d


class Consistency(nn.Module):
    """Projector (three layers) and predictor (two)."""

    def __init__(self, state_size: int, projection_size: int, hidden_size: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Flatten(),
            nn.Linear(state_size, projection_size),
            BatchNorm1d(projection_size),
            nn.ReLU(),
            nn.Linear(projection_size, projection_size),
            BatchNorm1d(projection_size),
            nn.ReLU(),
            nn.Linear(projection_size, projection_size),
            BatchNorm1d(projection_size),
        )
        self.predictor = nn.Sequential(
            nn.Linear(projection_size, hidden_size),
            BatchNorm1d(hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, projection_size),
        )

    def forward(self, state_RD: Tensor, observed_state_RD: Tensor) -> Tensor:
        """Negative cosine similarity [R], -1 at best; no gradient reaches the observed state."""
        with torch.no_grad():
            target_RP = self.projector(observed_state_RD)
        return -cosine_similarity(self.predictor(self.projector(state_RD)), target_RP, dim=1)
