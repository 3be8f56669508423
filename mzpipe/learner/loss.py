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
from ..nets.support import expected_scalar, two_hot


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
    """Means over the batch; `total` carries the gradient. clipped: targets outside their support.

    value_error_B is |v - z| of the sampled positions, their new priorities (MuZero, appendix G).
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    reward: Tensor
    clipped: Tensor
    value_error_B: Tensor


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
    value_error_B = _value_error(unroll.value_logits_BK1M[:, 0], batch.value_target_BK1[:, 0], model.value_bins)
    return Losses(total, policy.detach(), value.detach(), reward.detach(), clipped, value_error_B)


def _unroll(model: Model, batch: Batch) -> _Unroll:
    """Unrolls the dynamics; the prediction function sees the states of all steps as one batch."""
    hidden_state = model.represent(batch.observation)
    states, rewards = [hidden_state], []
    for action_B in batch.action_BK.unbind(1):
        reward_logits_BM, hidden_state = model.step(halve_gradient(hidden_state), action_B)
        rewards.append(reward_logits_BM)
        states.append(hidden_state)
    policy_logits, value_logits = model.prediction(torch.stack(states, dim=1).flatten(0, 1))
    steps = (len(batch.weight_B), len(states))
    return _Unroll(policy_logits.unflatten(0, steps), value_logits.unflatten(0, steps), torch.stack(rewards, dim=1))


@torch.no_grad()
def _value_error(logits_BM: Tensor, value_target_B: Tensor, bins_M: Tensor) -> Tensor:
    return (expected_scalar(logits_BM.float(), bins_M) - value_target_B).abs()


def _cross_entropy(logits: Tensor, target: Tensor, scale_BK: Tensor) -> Tensor:
    """Sum over the unroll, per sample."""
    return -((target * log_softmax(logits, dim=-1)).sum(-1) * scale_BK).sum(1)
