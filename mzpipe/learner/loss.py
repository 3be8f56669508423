"""MuZero's loss over an unroll.

    sum_{k=0..K} scale_k * (l_policy + w_v * l_value + l_reward),  scale_0 = 1, scale_k = 1 / K

Cross-entropy on categorical targets throughout; the hidden state's gradient is
halved at the entry of each dynamics call; importance weights multiply each
sample (Schrittwieser et al. 2020, equation 1 and appendix G).

Shape legend    B unrolls   K unroll steps   A actions   M bins of a support
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from ..nets import Model
from ..nets.scale import halve_gradient
from ..nets.support import two_hot


class Batch(NamedTuple):
    """A training batch on its device; index k of a target belongs to the state after k actions."""

    observation: Tensor
    action_BK: Tensor
    value_target_BK1: Tensor
    value_mask_BK1: Tensor
    reward_target_BK: Tensor
    reward_mask_BK: Tensor
    policy_target_BK1A: Tensor
    policy_mask_BK1: Tensor
    weight_B: Tensor


class Losses(NamedTuple):
    """Means over the batch; `total` carries the gradient. clipped: targets outside their support."""

    total: Tensor
    policy: Tensor
    value: Tensor
    reward: Tensor
    clipped: Tensor


class _Unroll(NamedTuple):
    policy_logits_BK1A: Tensor
    value_logits_BK1M: Tensor
    reward_logits_BKM: Tensor


def muzero_loss(model: Model, batch: Batch, *, value_loss_weight: float) -> Losses:
    """The loss of one batch."""
    unroll = _unroll(model, batch)
    num_unroll_steps = batch.action_BK.shape[1]
    scale_K1 = torch.full((num_unroll_steps + 1,), 1.0 / num_unroll_steps, device=batch.weight_B.device)
    scale_K1[0] = 1.0
    value_target, value_clipped = two_hot(batch.value_target_BK1, model.value_bins)
    reward_target, reward_clipped = two_hot(batch.reward_target_BK, model.reward_bins)
    policy_B = _cross_entropy(unroll.policy_logits_BK1A, batch.policy_target_BK1A, batch.policy_mask_BK1 * scale_K1)
    value_B = _cross_entropy(unroll.value_logits_BK1M, value_target, batch.value_mask_BK1 * scale_K1)
    reward_B = _cross_entropy(unroll.reward_logits_BKM, reward_target, batch.reward_mask_BK * scale_K1[1:])
    policy, value, reward = ((batch.weight_B * part_B).mean() for part_B in (policy_B, value_B, reward_B))
    clipped = (value_clipped & (batch.value_mask_BK1 > 0)).sum() + (reward_clipped & (batch.reward_mask_BK > 0)).sum()
    total = policy + value_loss_weight * value + reward
    return Losses(total, policy.detach(), value.detach(), reward.detach(), clipped)


def _unroll(model: Model, batch: Batch) -> _Unroll:
    output = model.initial_inference(batch.observation)
    policy, value, reward = [output.policy_logits_BA], [output.value_logits_BM], []
    for action_B in batch.action_BK.unbind(1):
        output = model.recurrent_inference(halve_gradient(output.hidden_state), action_B)
        assert output.reward_logits_BM is not None
        policy.append(output.policy_logits_BA)
        value.append(output.value_logits_BM)
        reward.append(output.reward_logits_BM)
    return _Unroll(torch.stack(policy, 1), torch.stack(value, 1), torch.stack(reward, 1))


def _cross_entropy(logits: Tensor, target: Tensor, scale_BK: Tensor) -> Tensor:
    """Sum over the unroll, per sample."""
    return -((target * log_softmax(logits, dim=-1)).sum(-1) * scale_BK).sum(1)
