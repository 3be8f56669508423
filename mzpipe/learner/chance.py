"""What the loss of a model with chance has besides MuZero's (Stochastic MuZero, Antonoglou et al. 2022, equation 7).

    sum_{k=0..K-1} 1 / K * (w_v * l_afterstate + l_code + w_m * l_commitment)

The encoder names the code of each transition, a one-hot row through which the gradient of all later losses passes
straight into the encoder's probabilities. An action leads to an afterstate, and the code of what happened to the next
state.

    l_afterstate   the value of the afterstate of step k, whose target is r_k+1 + discount * z_k+1
    l_code         cross-entropy of the afterstate's policy over codes with the true code; no gradient into it
    l_commitment   |code - encoder's probabilities|^2; no gradient into the code

What chance did is known where the next observation is stored, or the game ended. Elsewhere, as at the end of what is
stored of a game, the code is 0, and neither it nor the reward counts, because the reward may be chance's.

Shape legend    B unrolls   K unroll steps   C codes
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from ..ipc.schema import Unrolls
from ..nets import Model
from ..nets.chance import straight_through
from ..nets.support import transform
from .stacks import neighbouring_observations, only_stored

Batch = Unrolls[Tensor]


# Codes that the network expects after an action, below which nothing is chance to it.
_NO_CHANCE = 1.01


class Codes(NamedTuple):
    """What chance did at each step."""

    # One-hot, with the gradient of `likely_BKC`.
    row_BKC: Tensor
    # The encoder's probabilities.
    likely_BKC: Tensor
    # 1 where it is known, else 0.
    known_BK: Tensor

    @property
    def index_BK(self) -> Tensor:
        """The codes as numbers, int64."""
        return self.row_BKC.argmax(-1)


def find_codes(model: Model, batch: Batch) -> Codes | None:
    """The codes of a batch's transitions; None for a model without chance."""
    if model.encoder is None:
        return None
    assert batch.observation_mask_BK is not None
    stored_BK, known_BK = batch.observation_mask_BK, batch.value_mask_BK1[:, 1:]
    before_BK, after_BK = neighbouring_observations(batch)
    is_stored_before_BK = torch.cat([torch.ones_like(stored_BK[:, :1]), stored_BK[:, :-1]], dim=1)
    seen = [
        model.observe(only_stored(observation, mask)).flatten(0, 1)
        for observation, mask in ((before_BK, is_stored_before_BK), (after_BK, stored_BK))
    ]
    outcome_BK2 = torch.stack([transform(batch.reward_target_BK), known_BK * (1.0 - stored_BK)], dim=-1)
    logits_RC = model.encoder(*seen, outcome_BK2.flatten(0, 1))
    likely_RC = torch.softmax(logits_RC.to(outcome_BK2.dtype), dim=-1)
    row_BKC, likely_BKC = (each.unflatten(0, known_BK.shape) for each in (straight_through(likely_RC), likely_RC))
    nothing_C = torch.zeros_like(likely_RC[0])
    nothing_C[:1].fill_(1.0)
    return Codes(torch.where(known_BK.unsqueeze(-1) > 0, row_BKC, nothing_C), likely_BKC, known_BK)


def only_known(batch: Batch, codes: Codes) -> Batch:
    """The batch with the rewards alone of transitions whose code is known."""
    return batch._replace(reward_mask_BK=batch.reward_mask_BK * codes.known_BK)


def afterstate_values(batch: Batch, discount: float) -> tuple[Tensor, Tensor]:
    """The value targets [B, K] of the afterstates, and where they count."""
    target_BK = batch.reward_target_BK + discount * batch.value_target_BK1[:, 1:]
    return target_BK, batch.reward_mask_BK * batch.value_mask_BK1[:, 1:]


def commitment(codes: Codes) -> Tensor:
    """l_commitment [B, K]."""
    return mse_loss(codes.likely_BKC, codes.row_BKC.detach(), reduction="none").sum(-1)


class ChanceWatch:
    """Says once that the codes tell nothing apart; again only after they did."""

    def __init__(self, num_codes: int) -> None:
        self._num_codes, self._is_told = num_codes, False

    def line(self, codes_expected: float, learner_steps: int) -> str | None:
        """A line for the user if the network expects one code after every action; `codes_expected` is a diagnostic."""
        is_one = self._num_codes > 0 and codes_expected < _NO_CHANCE
        is_news, self._is_told = is_one and not self._is_told, is_one
        if not is_news:
            return None
        return (
            f"learner step {learner_steps:,}: the network expects one of network.chance_codes={self._num_codes} after "
            "every action: nothing is chance to it. If something is, its outcomes have one code: raise "
            "network.chance_codes, or lower learner.commitment_loss_weight; if not, set network.chance_codes=0"
        )
