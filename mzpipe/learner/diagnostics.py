"""Diagnostics: measures one batch at intervals, to show why a run does not learn.

Shape legend    B unrolls   K unroll steps   A actions   G parts of the model
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..ipc.diagnostics import MODEL_PARTS
from ..nets import Model, NetworkOutput
from ..nets.support import head_scalar
from .chance import Codes, find_codes, only_known
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
    codes = find_codes(model, batch)
    batch = batch if codes is None else only_known(batch, codes)
    outputs, afterstates = _unrolled(model, batch, codes)
    model.train(was_training)
    value_BK1 = torch.stack([model.value(output) for output in outputs], dim=1)
    rewards = [model.reward(output) for output in outputs[1:]]
    reward_BK = torch.stack(rewards, dim=1) if rewards else torch.zeros_like(batch.reward_target_BK)
    state = outputs[0].hidden_state.flatten(1)[:, : model.state_size].float()
    return {
        "policy_entropy": float(_policy_entropy(model, outputs[0]).mean()),
        "search_policy_entropy": float(_masked_mean(_entropy(batch.policy_target_BK1A), batch.policy_mask_BK1)),
        "value_error": _step_means((value_BK1 - batch.value_target_BK1).abs(), batch.value_mask_BK1),
        "reward_error": _step_means((reward_BK - batch.reward_target_BK).abs(), batch.reward_mask_BK),
        "state_mean": float(state.mean()),
        "state_spread": float(state.std(dim=0, correction=0).mean()),
        "played_gap": played_gap(model, batch, codes),
        **_codes_in_use(model, codes, afterstates),
        "sample_size": float(batch.weight_B.sum() ** 2 / (batch.weight_B**2).sum().clamp(min=1e-12)),
    }


@torch.no_grad()
def played_gap(model: Model, batch: Batch, codes: Codes | None) -> float:
    """Root mean square difference of an unroll's values as played and as trained, over the spread of their targets.

    The two are the same network with its kept statistics and with those of the batch; without batch normalisation the
    gap is 0. With chance it is the difference at states or that at afterstates, whichever is larger. Values without a
    target do not count. Leaves the model as it was.
    """
    was_training, buffers = model.training, SavedBuffers(model)
    played, trained = (_unroll_values(model.train(mode), batch, codes) for mode in (False, True))
    buffers.restore()
    model.train(was_training)
    target_BK1, mask_BK1 = batch.value_target_BK1, batch.value_mask_BK1
    variance = _masked_mean((target_BK1 - _masked_mean(target_BK1, mask_BK1)).square(), mask_BK1)
    squares = [
        _masked_mean((first - second).square(), mask_BK1[:, -first.shape[1] :])
        for first, second in zip(played, trained, strict=True)
    ]
    return float(max(squares).sqrt() / variance.sqrt().clamp(min=_LEAST_SPREAD))


def _unroll_values(model: Model, batch: Batch, codes: Codes | None) -> list[Tensor]:
    """The scalar values of an unroll: of states [B, K + 1], and with chance of afterstates [B, K]."""
    steps = unroll(model, batch.observation, batch.model_action_BK, codes=codes)
    outputs = (steps.value_logits_BK1M, steps.afterstate_value_logits_BKM)
    return [head_scalar(each, model.value_bins) for each in outputs if each is not None]


def _policy_entropy(model: Model, output: NetworkOutput) -> Tensor:
    if model.sampler is not None:
        return model.sampler.entropy(output.policy_logits_BA.float())
    return _entropy(_policy(output, slice(model.num_actions)))


def _unrolled(model: Model, batch: Batch, codes: Codes | None) -> tuple[list[NetworkOutput], list[NetworkOutput]]:
    """The outputs of all states, and with chance those of the afterstates."""
    if model.sampler is not None:
        return _unrolled_along_vectors(model, batch), []
    states, afterstates = [model.initial_inference(batch.observation)], []
    for k, action_B in enumerate(batch.action_BK.unbind(1)):
        output = model.recurrent_inference(states[-1].hidden_state, action_B)
        if codes is not None:
            afterstates.append(output)
            place_B = (model.num_actions + codes.index_BK[:, k]).to(action_B.dtype)
            output = model.recurrent_inference(output.hidden_state, place_B)
        states.append(output)
    return states, afterstates


def _codes_in_use(model: Model, codes: Codes | None, afterstates: list[NetworkOutput]) -> dict[str, float]:
    """How many codes the encoder uses and the network expects; 0 without chance."""
    if codes is None:
        return {"codes_used": 0.0, "codes_expected": 0.0}
    used_C = (codes.row_BKC * codes.known_BK.unsqueeze(-1)).sum((0, 1))
    expected_BKC = torch.stack([_policy(each, slice(model.num_actions, None)) for each in afterstates], dim=1)
    used = _entropy(used_C / used_C.sum().clamp(min=1.0))
    return {
        "codes_used": float(used.exp()),
        "codes_expected": float(_masked_mean(_entropy(expected_BKC), codes.known_BK).exp()),
    }


def _policy(output: NetworkOutput, places: slice) -> Tensor:
    return torch.softmax(output.policy_logits_BA[:, places].float(), -1)


def _unrolled_along_vectors(model: Model, batch: Batch) -> list[NetworkOutput]:
    """The outputs along the vectors that were played; policy logits are the policy head's outputs."""
    steps = unroll(model, batch.observation, batch.model_action_BK)
    states = steps.state_BK1.unbind(1)
    rewards = [None, *steps.reward_logits_BKM.unbind(1)]
    heads = zip(steps.value_logits_BK1M.unbind(1), steps.policy_logits_BK1A.unbind(1), strict=True)
    return [
        NetworkOutput(state, reward, value, policy)
        for state, reward, (value, policy) in zip(states, rewards, heads, strict=True)
    ]


def _entropy(policy: Tensor) -> Tensor:
    return torch.special.entr(policy).sum(-1)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


def _step_means(error_BK: Tensor, mask_BK: Tensor) -> np.ndarray:
    """The mean at each unroll step over the samples whose target counts."""
    means_K = (error_BK * mask_BK).sum(0) / mask_BK.sum(0).clamp(min=1.0)
    return means_K.double().cpu().numpy()
