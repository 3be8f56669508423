"""What a model with chance has besides the three functions (Stochastic MuZero, Antonoglou et al. 2022).

An action leads from a state to an afterstate, and a code of what chance does there to the next state. Policies have
A + C places: the actions, which count for states, and the codes, which count for afterstates. One prediction function
sees both; actions and codes have a dynamics function each, so that their batch statistics never mix.

The encoder, which only training needs, names the code of what happened. It sees the stacked observations before and
after the action, the reward, and whether the game ended, because the last observation of a game is not stored. It
always normalises over its batch.

Shape legend    B samples   R rows (samples times unroll steps)   A actions   C codes   M outputs of the reward head
                `grid` is (Y, X), rows and columns of the hidden state
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.modules.batchnorm import _BatchNorm

from .norm import BatchNorm1d

# Reward and end, next to what the encoder sees of the observations.
_OUTCOME = 2


class ChanceDynamics(nn.Module):
    """A dynamics function of A + C places: an action leads to an afterstate, code c, as A + c, to the next state.

    A code may also be a row of C numbers, one-hot, through which gradients pass. In training mode whole numbers are
    actions. The reward outputs are those of the code, and mean nothing for an action.
    """

    codes: Tensor

    def __init__(self, of_actions: nn.Module, of_codes: nn.Module, num_actions: int, num_codes: int) -> None:
        super().__init__()
        self.of_actions, self.of_codes, self._num_actions = of_actions, of_codes, num_actions
        self.of_actions.reward = nn.Identity()
        self.register_buffer("codes", torch.arange(num_actions, num_actions + num_codes), persistent=False)

    @property
    def reward(self) -> nn.Module:
        """The reward head."""
        reward = self.of_codes.reward
        assert isinstance(reward, nn.Module)
        return reward

    def forward(self, hidden_state: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Reward outputs [B, M] and the unscaled next hidden state or afterstate [B, ...]."""
        if choice.is_floating_point():
            outputs: tuple[Tensor, Tensor] = self.of_codes(hidden_state, choice)
            return outputs
        if self.training:
            afterstate: tuple[Tensor, Tensor] = self.of_actions(hidden_state, choice)
            return afterstate
        # Trees of one batch may be at either kind of node.
        is_code_B = choice >= self._num_actions
        _, afterstates = self.of_actions(hidden_state, choice.masked_fill(is_code_B, 0))
        row_BC = (choice.view(-1, 1) == self.codes).to(hidden_state.dtype)
        rewards, states = self.of_codes(hidden_state, row_BC)
        return rewards, torch.where(is_code_B.view(-1, *[1] * (states.ndim - 1)), states, afterstates)


class CodeVector(nn.Linear):
    """A learnt vector for each code, as `nn.Embedding` has it for whole numbers, of rows [B, C]."""

    def __init__(self, num_codes: int, size: int) -> None:
        super().__init__(num_codes, size, bias=False)
        nn.init.normal_(self.weight)


class CodePlanes(nn.Module):
    """A constant plane for each code, that holds its number of the row [B, C]."""

    def __init__(self, num_codes: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_planes, self.grid = num_codes, grid

    def forward(self, row_BC: Tensor) -> Tensor:
        """[B, C, Y, X]."""
        return row_BC.view(-1, self.num_planes, 1, 1).expand(-1, -1, *self.grid)


class Encoder(nn.Module):
    """Stacked observations around an action, and its outcome -> logits of codes, normalised over the batch.

    Without the last normalisation one code soon is the likeliest for all outcomes, and no gradient tells them apart;
    with it about as many rows lie above the mean of each code's logit as below.
    """

    def __init__(self, body: nn.Module, num_features: int, num_units: int, num_codes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(body, nn.Flatten(), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(num_features + _OUTCOME, num_units),
            nn.ReLU(),
            nn.Linear(num_units, num_codes),
            BatchNorm1d(num_codes, affine=False),
        )
        for norm in self.modules():
            if isinstance(norm, _BatchNorm):
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None

    def train(self, mode: bool = True) -> Self:
        """Stays in training mode: it keeps no statistics for another."""
        return super().train(True)

    def forward(self, before: Tensor, after: Tensor, outcome_R2: Tensor) -> Tensor:
        """[R, C]; the observations are what `Model.observe` returns, the outcome reward (transformed) and end."""
        features = self.body(torch.cat([before, after], dim=1))
        logits: Tensor = self.head(torch.cat([features, outcome_R2], dim=1))
        return logits


def straight_through(likely_RC: Tensor) -> Tensor:
    """The likeliest code as a one-hot row, with the gradient of the likelihoods."""
    row_RC = one_hot(likely_RC.argmax(-1), likely_RC.shape[-1]).to(likely_RC.dtype)
    return row_RC + likely_RC - likely_RC.detach()
