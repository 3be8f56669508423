"""Diagnostics: measures one batch at intervals, to show why a run does not learn.

Shape legend    B unrolls   K unroll steps   A actions   G parts of the model
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..ipc.diagnostics import MODEL_PARTS
from ..nets import Model
from ..nets.model import NetworkOutput
from .loss import Batch, unroll
from .statistics import SavedBuffers

# Least spread of value targets by which the gap is divided: before the first reward all targets may be equal.
_LEAST_SPREAD = 1e-2


def gradient_norms(model: Model) -> np.ndarray:
    """norm_G of the gradients of the last backward pass, in MODEL_PARTS' order; 0 for a part that the model lacks."""
    norms = [_norm(getattr(model, part, None)) for part in MODEL_PARTS]
    return np.array(norms, np.float64)


def _norm(module: nn.Module | None) -> float:
    parameters = [] if module is None else list(module.parameters())
    gradients = [parameter.grad.norm() for parameter in parameters if parameter.grad is not None]
    return float(torch.stack(gradients).norm()) if gradients else 0.0


@torch.no_grad()
def diagnose(model: Model, batch: Batch) -> dict[str, np.ndarray | float]:
    """The fields of the diagnostics segment (`ipc.diagnostics`) except gradient norms; does not change the model.

    Errors are means of |v_k - z_k| and |r_k - u_k| over the targets that count; entropies are in nats.
    """
    was_training = model.training
    model.eval()
    outputs = list(_unrolled(model, batch))
    model.train(was_training)
    value_BK1 = torch.stack([model.value(output) for output in outputs], dim=1)
    reward_BK = torch.stack([model.reward(output) for output in outputs[1:]], dim=1)
    state = outputs[0].hidden_state.flatten(1)[:, : model.state_size].float()
    return {
        "policy_entropy": float(_policy_entropy(model, outputs[0].policy_logits_BA.float()).mean()),
        "search_policy_entropy": float(_masked_mean(_entropy(batch.policy_target_BK1A), batch.policy_mask_BK1)),
        "value_error": _step_means((value_BK1 - batch.value_target_BK1).abs(), batch.value_mask_BK1),
        "reward_error": _step_means((reward_BK - batch.reward_target_BK).abs(), batch.reward_mask_BK),
        "state_mean": float(state.mean()),
        "state_spread": float(state.std(dim=0, correction=0).mean()),
        "played_gap": played_gap(model, batch),
        "sample_size": float(batch.weight_B.sum() ** 2 / (batch.weight_B**2).sum().clamp(min=1e-12)),
    }


@torch.no_grad()
def played_gap(model: Model, batch: Batch) -> float:
    """Root mean square difference of the root values as played and as trained, over the spread of the value targets.

    The two are the same network with its kept statistics and with those of the batch; without batch normalisation the
    gap is 0. Leaves the model as it was.
    """
    was_training, buffers = model.training, SavedBuffers(model)
    played_B = model.value(model.eval().initial_inference(batch.observation))
    trained_B = model.value(model.train().initial_inference(batch.observation))
    buffers.restore()
    model.train(was_training)
    spread = batch.value_target_BK1[:, 0].std(correction=0).clamp(min=_LEAST_SPREAD)
    return float((played_B - trained_B).square().mean().sqrt() / spread)


def _policy_entropy(model: Model, outputs_BP: Tensor) -> Tensor:
    if model.sampler is not None:
        return model.sampler.entropy(outputs_BP)
    return _entropy(torch.softmax(outputs_BP, -1))


def _unrolled(model: Model, batch: Batch) -> Iterator[NetworkOutput]:
    if model.sampler is not None:
        yield from _unrolled_along_vectors(model, batch)
        return
    output = model.initial_inference(batch.observation)
    yield output
    for action_B in batch.action_BK.unbind(1):
        output = model.recurrent_inference(output.hidden_state, action_B)
        yield output


def _unrolled_along_vectors(model: Model, batch: Batch) -> Iterator[NetworkOutput]:
    """The same along the vectors that were played; policy logits are the policy head's outputs."""
    steps = unroll(model, batch.observation, batch.model_action_BK)
    states = [model.represent(batch.observation), *steps.state_BK.unbind(1)]
    rewards = [None, *steps.reward_logits_BKM.unbind(1)]
    heads = zip(steps.value_logits_BK1M.unbind(1), steps.policy_logits_BK1A.unbind(1), strict=True)
    for state, reward, (value, policy) in zip(states, rewards, heads, strict=True):
        yield NetworkOutput(state, reward, value, policy)


def _entropy(policy: Tensor) -> Tensor:
    return torch.special.entr(policy).sum(-1)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


def _step_means(error_BK: Tensor, mask_BK: Tensor) -> np.ndarray:
    """The mean at each unroll step over the samples whose target counts."""
    means_K = (error_BK * mask_BK).sum(0) / mask_BK.sum(0).clamp(min=1.0)
    return means_K.double().cpu().numpy()
