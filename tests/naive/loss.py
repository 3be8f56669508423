"""Plain twin of the loss: one sample, one step, one bin at a time, in float64."""

import numpy as np
import torch

from mzpipe.targets import scalar_to_support


def log_probabilities(logits):
    logits = [float(x) for x in logits]
    top = max(logits)
    total = sum(np.exp(x - top) for x in logits)
    return [x - top - np.log(total) for x in logits]


def cross_entropy(logits, target):
    return -sum(float(p) * q for p, q in zip(target, log_probabilities(logits), strict=True))


def loss_parts(model, batch, support_size):
    """(policy, value, reward) as means over the batch, scales and masks applied."""
    model = model.double()
    batch_size, num_unroll_steps = batch.action_BK.shape
    parts = np.zeros(3)
    for b in range(batch_size):
        weight = float(batch.weight_B[b])
        with torch.no_grad():
            output = model.initial_inference(batch.observation[b : b + 1].double())
        for k in range(num_unroll_steps + 1):
            scale = 1.0 if k == 0 else 1.0 / num_unroll_steps
            if k > 0:
                with torch.no_grad():
                    output = model.recurrent_inference(output.hidden_state, batch.action_BK[b : b + 1, k - 1])
                reward = scalar_to_support(float(batch.reward_target_BK[b, k - 1]), support_size)
                mask = float(batch.reward_mask_BK[b, k - 1])
                parts[2] += weight * scale * mask * cross_entropy(output.reward_logits_BM[0], reward)
            value = scalar_to_support(float(batch.value_target_BK1[b, k]), support_size)
            policy = batch.policy_target_BK1A[b, k]
            value_mask, policy_mask = float(batch.value_mask_BK1[b, k]), float(batch.policy_mask_BK1[b, k])
            parts[0] += weight * scale * policy_mask * cross_entropy(output.policy_logits_BA[0], policy)
            parts[1] += weight * scale * value_mask * cross_entropy(output.value_logits_BM[0], value)
    return parts / batch_size
