"""Plain twin of the loss: one sample, one step, one bin at a time, in float64; models too, in evaluation mode."""

import numpy as np
import torch
from torch import nn

from mzpipe.targets import scalar_to_support

POLICY, VALUE, REWARD, CONSISTENCY = range(4)


def log_probabilities(logits):
    logits = [float(x) for x in logits]
    top = max(logits)
    total = sum(np.exp(x - top) for x in logits)
    return [x - top - np.log(total) for x in logits]


def cross_entropy(logits, target):
    return -sum(float(p) * q for p, q in zip(target, log_probabilities(logits), strict=True))


def scalar_loss(config, outputs, target, support_size):
    if config.heads == "scalar":
        return (float(outputs[0]) - target) ** 2
    return cross_entropy(outputs, scalar_to_support(target, support_size))


def reward_target(config, rewards, k):
    """The target of state k: the reward of the action into it, or the sum of rewards since the last reset."""
    if not config.value_prefix:
        return float(rewards[k - 1])
    return sum(float(reward) for j, reward in enumerate(rewards[:k]) if j >= last_reset(config, k))


def last_reset(config, k):
    """The state from which the value prefix up to state k is summed."""
    return (k - 1) // config.value_prefix_horizon * config.value_prefix_horizon


def loss_parts(model, batch, support_size, training=False, loss_scale="steps", drawn_B=None):
    """(policy, value, reward, consistency) as means over the batch, scales and masks applied.

    Consistency counts at each step, or K times at step drawn_B[b] of sample b only.
    """
    num_unroll_steps = batch.action_BK.shape[1]
    root = {"steps": 1.0, "all": 1.0 / num_unroll_steps}[loss_scale]
    scale = np.array([root] + [1.0 / num_unroll_steps] * num_unroll_steps)
    return scale @ step_parts(model, batch, support_size, training=training, drawn_B=drawn_B)


@torch.no_grad()
def step_parts(model, batch, support_size, *, dynamics=None, observer=None, training=False, drawn_B=None):
    """The same for each state k before any scale, [K + 1, 4].

    dynamics[k - 1] makes the step into state k, observer sees the consistency's target; both are `model` if None.
    `training` lets the consistency normalise over the batch.
    """
    batch_size, num_unroll_steps = batch.action_BK.shape
    parts, pairs = np.zeros((num_unroll_steps + 1, 4)), []
    for b in range(batch_size):
        output, weight = model.initial_inference(batch.observation[b : b + 1]), float(batch.weight_B[b])
        for k in range(num_unroll_steps + 1):
            if k > 0:
                steps = model if dynamics is None else dynamics[k - 1]
                output = steps.recurrent_inference(output.hidden_state, batch.action_BK[b : b + 1, k - 1])
                target = reward_target(model.config, batch.reward_target_BK[b], k)
                loss = scalar_loss(model.config, output.reward_logits_BM[0], target, support_size)
                parts[k, REWARD] += weight * float(batch.reward_mask_BK[b, k - 1]) * loss
                if model.consistency is not None and (drawn_B is None or drawn_B[b] == k):
                    pairs.append((b, k, *states(model, observer or model, output, observed(batch, b, k))))
            policy = cross_entropy(output.policy_logits_BA[0], batch.policy_target_BK1A[b, k])
            parts[k, POLICY] += weight * float(batch.policy_mask_BK1[b, k]) * policy
            value = float(batch.value_target_BK1[b, k])
            loss = scalar_loss(model.config, output.value_logits_BM[0], value, support_size)
            parts[k, VALUE] += weight * float(batch.value_mask_BK1[b, k]) * loss
    for b, k, similarity in similarities(model, pairs, training):
        weight = float(batch.weight_B[b]) * float(batch.observation_mask_BK[b, k - 1])
        weight *= 1.0 if drawn_B is None else num_unroll_steps
        parts[k, CONSISTENCY] -= weight * similarity
    return parts / batch_size


def observed(batch, b, k):
    """The stacked observation of state k: zeros if it is not stored."""
    if batch.observation_mask_BK[b, k - 1] == 0:
        return torch.zeros_like(batch.observation[b])
    return torch.cat(list(batch.frame_BF[b, k : k + batch.frame_stack]))


def states(model, observer, output, observation):
    """The dynamics' state, and h of what was observed there, flat."""
    return output.hidden_state.flatten()[: model.state_size].numpy(), observer.represent(observation[None])[0].numpy()


def similarities(model, pairs, training):
    """(b, k, cosine similarity) of each pair of states."""
    if not pairs:
        return []
    ours = through(model.consistency.projector, [pair[2] for pair in pairs], training)
    ours = through(model.consistency.predictor, ours, training)
    observed = through(model.consistency.projector, [pair[3].reshape(-1) for pair in pairs], training)
    return [(b, k, cosine(x, y)) for (b, k, _, _), x, y in zip(pairs, ours, observed, strict=True)]


def cosine(x, y):
    return float(x @ y) / np.sqrt(float(x @ x) * float(y @ y))


def through(layers, rows, training):
    for layer in layers:
        if isinstance(layer, nn.Linear):
            rows = [layer.weight.numpy() @ row + layer.bias.numpy() for row in rows]
        elif isinstance(layer, nn.BatchNorm1d):
            rows = normalised(layer, rows, training)
        elif isinstance(layer, nn.ReLU):
            rows = [np.maximum(row, 0.0) for row in rows]
        else:
            assert isinstance(layer, nn.Flatten)
    return rows


def normalised(layer, rows, training):
    mean, variance = layer.running_mean.numpy(), layer.running_var.numpy()
    if training:
        mean = sum(rows) / len(rows)
        variance = sum((row - mean) ** 2 for row in rows) / len(rows)
    return [(row - mean) / np.sqrt(variance + layer.eps) * layer.weight.numpy() + layer.bias.numpy() for row in rows]
