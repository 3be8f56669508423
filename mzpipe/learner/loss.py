"""MuZero's loss over an unroll, with EfficientZero's two additions, and those of `chance`, if the model has them.

    sum_{k=0..K} scale_k * (l_policy + w_v * l_value + l_reward + w_c * l_consistency + w_o * l_reconstruction)

scale_k is 1 / K for k >= 1. scale_0 is 1 (MuZero), or 1 / K too (loss_scale "all", as in EfficientZero). With
consistency_steps "one", l_consistency is computed at one k per sample, drawn from 1 .. K, and K times as heavy, so
its expected value and gradient stay as they are.

l_policy is a cross-entropy; where actions are vectors, -sum_a target(a) ln pi(a) over the candidates of the search,
less the policy's weighted entropy (Hubert et al. 2021, section 5). l_value and l_reward are cross-entropies on two-hot
targets, or squared errors if the heads output plain numbers. The reward and
consistency terms exist for k >= 1 only. The state's gradient is halved at the
entry of each dynamics call; importance weights multiply each sample
(Schrittwieser et al. 2020, equation 1 and appendix G).

l_reconstruction is the squared error of the decoded observation, summed over its numbers (see `nets.reconstruction`).

Value prefix: the target of a step is the sum of rewards since the last reset,
where the LSTM's state is reset too. The LSTM's own gradient is not halved, as in
EfficientZero. A mask never returns to 1 along an unroll, so a sum under a mask of
1 contains no unknown reward.

Augmentation changes the images of training steps only: one draw for the root's, which all terms see, and another for
all next observations of the sample, which consistency compares with.

Shape legend    B unrolls   K unroll steps   A actions   M outputs of a value or reward head
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from ..config import LearnerConfig
from ..games import Symmetry
from ..ipc.schema import Unrolls
from ..nets import Model, device_has_bfloat16
from ..nets.capture import reason_of
from ..nets.support import halve_gradient, head_scalar, two_hot
from .augment import Augmentation
from .chance import Codes, afterstate_values, commitment, find_codes, only_known
from .stacks import following_observations, only_stored
from .symmetries import Symmetries

# A training batch on its device.
Batch = Unrolls[Tensor]
_NO_AUGMENTATION = Augmentation()
# Errors that a missing compiler, an unsupported device or an operator that cannot be compiled raise.
_COMPILE_FAILURES = (RuntimeError, ImportError, OSError)
# RuntimeErrors too, but of the device: without the compiler they would come again, or the device is lost.
# Torch before 2.8 has not both.
_DEVICE_FAILURES = tuple(
    getattr(torch, name) for name in ("OutOfMemoryError", "AcceleratorError") if hasattr(torch, name)
)


class Losses(NamedTuple):
    """Means over the batch; `total` carries the gradient. `clipped` counts targets outside their support.

    value_error_B is |v - z| of the sampled positions, their new priorities (MuZero, appendix G). `reward` is the value
    prefix's loss if the model has one; `consistency` and `reconstruction` are 0 if it has no such head, and the three
    of chance (see `chance`) are 0 if it has no codes.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    reward: Tensor
    consistency: Tensor
    reconstruction: Tensor
    afterstate: Tensor
    code: Tensor
    commitment: Tensor
    clipped: Tensor
    value_error_B: Tensor


# The names of the single losses and of their weighted sum, without those of samples.
LOSSES = tuple(name for name in Losses._fields if name not in ("clipped", "value_error_B"))


class Unroll(NamedTuple):
    """The outputs and states [B, K + 1, ...] of all steps; with chance outputs of afterstates too.

    Where actions are vectors, policy logits are the policy head's outputs.
    """

    policy_logits_BK1A: Tensor
    value_logits_BK1M: Tensor
    reward_logits_BKM: Tensor
    state_BK1: Tensor
    code_logits_BKC: Tensor | None = None
    afterstate_value_logits_BKM: Tensor | None = None


class _OfChance(NamedTuple):
    """Losses of chance, and how many of their targets were clipped."""

    afterstate: Tensor
    code: Tensor
    commitment: Tensor
    clipped: Tensor


class _Pairs(NamedTuple):
    """States that the dynamics predicts, the stacked observations there, whether stored, and their losses' factors."""

    state_BK: Tensor
    observation_BK: Tensor
    mask_BK: Tensor
    scale_BK: Tensor


def muzero_loss(
    model: Model,
    batch: Batch,
    *,
    value_loss_weight: float,
    consistency_loss_weight: float = 0.0,
    reconstruction_loss_weight: float = 0.0,
    entropy_loss_weight: float = 0.0,
    commitment_loss_weight: float = 0.0,
    loss_scale: Literal["steps", "all"] = "steps",
    consistency_steps: Literal["all", "one"] = "all",
    augmentation: Augmentation = _NO_AUGMENTATION,
    discount: float = 1.0,
) -> Losses:
    """The loss of one batch; `augmentation` works in training mode only, only chance asks for the discount."""
    augmentation = augmentation if model.training else _NO_AUGMENTATION
    codes = find_codes(model, batch)
    batch = batch if codes is None else only_known(batch, codes)
    steps = unroll(model, batch.observation, batch.model_action_BK, augmentation, codes)
    scale_K1 = _step_scales(batch, loss_scale)
    value_BK1, value_clipped = _scalar_loss(steps.value_logits_BK1M, batch.value_target_BK1, model.value_bins)
    reward_BK, reward_clipped = _scalar_loss(steps.reward_logits_BKM, _reward_targets(model, batch), model.reward_bins)
    policy_BK1 = _policy_loss(model, batch, steps.policy_logits_BK1A, entropy_loss_weight)
    policy = _weighted(policy_BK1, batch.policy_mask_BK1 * scale_K1, batch)
    value = _weighted(value_BK1, batch.value_mask_BK1 * scale_K1, batch)
    reward = _weighted(reward_BK, batch.reward_mask_BK * scale_K1[1:], batch)
    total, consistency = policy + value_loss_weight * value + reward, torch.zeros_like(policy)
    reconstruction = afterstate = code = committed = consistency
    if model.consistency is not None:
        pairs = _pairs(batch, steps.state_BK1[:, 1:], scale_K1[1:])
        pairs = _drawn(pairs) if consistency_steps == "one" else pairs
        consistency = _consistency(model, batch, pairs, augmentation)
        total = total + consistency_loss_weight * consistency
    if model.decoder is not None:
        reconstruction = _reconstruction(model, batch, steps.state_BK1, scale_K1)
        total = total + reconstruction_loss_weight * reconstruction
    clipped = (value_clipped & (batch.value_mask_BK1 > 0)).sum() + (reward_clipped & (batch.reward_mask_BK > 0)).sum()
    if codes is not None:
        afterstate, code, committed, more = _of_chance(model, batch, codes, steps, scale_K1[1:], discount)
        total = total + value_loss_weight * afterstate + code + commitment_loss_weight * committed
        clipped = clipped + more
    value_error_B = _value_error(steps.value_logits_BK1M[:, 0], batch.value_target_BK1[:, 0], model.value_bins)
    parts = [
        part.detach() for part in (policy, value, reward, consistency, reconstruction, afterstate, code, committed)
    ]
    return Losses._make([total, *parts, clipped, value_error_B])


def unroll(
    model: Model,
    observation: Tensor,
    action_BK: Tensor,
    augmentation: Augmentation = _NO_AUGMENTATION,
    codes: Codes | None = None,
) -> Unroll:
    """Unrolls the dynamics along actions [B, K] or vectors [B, K, D].

    The prediction function sees the states of all steps, and afterstates, as one batch.
    """
    state = model.represent_observed(augmentation.apply(model.observe(observation)))
    states, afterstates, rewards, lstm = [state], [], [], None
    for k, choice_B in enumerate(action_BK.unbind(1)):
        state = halve_gradient(state)
        if codes is not None:
            _, state = model.step(state, choice_B)
            afterstates.append(state)
            choice_B = codes.row_BKC[:, k]
        reward_outputs, state = model.step(state, choice_B)
        if model.value_prefix is not None:
            lstm = None if k % model.value_prefix.horizon == 0 else lstm
            reward_outputs, lstm = model.value_prefix(reward_outputs, lstm)
        rewards.append(reward_outputs)
        states.append(state)
    state_BN = torch.stack(states + afterstates, dim=1)
    policy_logits, value_logits = model.prediction(state_BN.flatten(0, 1))
    policy_logits, value_logits = (each.unflatten(0, state_BN.shape[:2]) for each in (policy_logits, value_logits))
    reward_logits = torch.stack(rewards, dim=1) if rewards else value_logits[:, 1:, :1]  # without a step there is none
    if codes is None:
        return Unroll(policy_logits, value_logits, reward_logits, state_BN)
    parts = [len(states), len(afterstates)]
    policy_logits, code_logits = policy_logits.split(parts, dim=1)
    value_logits, afterstate_value_logits = value_logits.split(parts, dim=1)
    return Unroll(
        policy_logits[..., : model.num_actions],
        value_logits,
        reward_logits,
        state_BN[:, : len(states)],
        code_logits[..., model.num_actions :],
        afterstate_value_logits,
    )


def _of_chance(model: Model, batch: Batch, codes: Codes, steps: Unroll, scale_K: Tensor, discount: float) -> _OfChance:
    """The losses of chance; `batch` has the rewards of known codes alone."""
    assert steps.afterstate_value_logits_BKM is not None and steps.code_logits_BKC is not None
    target_BK, mask_BK = afterstate_values(batch, discount)
    value_BK, clipped = _scalar_loss(steps.afterstate_value_logits_BKM, target_BK, model.value_bins)
    code_BK = _cross_entropy(steps.code_logits_BKC, codes.row_BKC.detach())
    return _OfChance(
        _weighted(value_BK, mask_BK * scale_K, batch),
        _weighted(code_BK, codes.known_BK * scale_K, batch),
        _weighted(commitment(codes), codes.known_BK * scale_K, batch),
        (clipped & (mask_BK > 0)).sum(),
    )


def _policy_loss(model: Model, batch: Batch, outputs_BK1P: Tensor, entropy_loss_weight: float) -> Tensor:
    """The cross-entropy of the search's policy [B, K + 1]; over the stored candidates, where actions are vectors."""
    if model.sampler is None:
        return _cross_entropy(outputs_BK1P, batch.policy_target_BK1A)
    log_prob_BK1A = model.sampler.log_prob(outputs_BK1P, batch.candidates_BK1V)
    policy_BK1 = -(batch.policy_target_BK1A * log_prob_BK1A).sum(-1)
    return policy_BK1 - entropy_loss_weight * model.sampler.entropy(outputs_BK1P)


def _pairs(batch: Batch, state_BK: Tensor, scale_K: Tensor) -> _Pairs:
    """Those of all steps."""
    assert batch.observation_mask_BK is not None
    mask_BK = batch.observation_mask_BK
    return _Pairs(state_BK, following_observations(batch), mask_BK, mask_BK * scale_K)


def _drawn(pairs: _Pairs) -> _Pairs:
    """Those of one step per sample, [B, 1, ...], with the weight of all K."""
    num_unrolls, num_steps = pairs.scale_BK.shape
    step_B1 = draw_steps(num_unrolls, num_steps, pairs.scale_BK.device)
    row_B1 = torch.arange(num_unrolls, device=step_B1.device)[:, None]
    state, observation, mask, scale = (each[row_B1, step_B1] for each in pairs)
    return _Pairs(state, observation, mask, scale * num_steps)


def draw_steps(num_unrolls: int, num_steps: int, device: torch.device) -> Tensor:
    """A number in 0 .. num_steps - 1 for each unroll, [B, 1]."""
    return torch.randint(num_steps, (num_unrolls, 1), device=device)


def _consistency(model: Model, batch: Batch, pairs: _Pairs, augmentation: Augmentation) -> Tensor:
    """The consistency loss between the dynamics' states and h of the observations there, which gets no gradient."""
    assert model.consistency is not None
    with torch.no_grad():
        observed = model.observe(only_stored(pairs.observation_BK, pairs.mask_BK))
        target = model.represent_observed(augmentation.apply(observed).flatten(0, 1))
    loss_BK = model.consistency(pairs.state_BK.flatten(0, 1), target).unflatten(0, pairs.scale_BK.shape)
    return _weighted(loss_BK, pairs.scale_BK, batch)


def _reconstruction(model: Model, batch: Batch, state_BK1: Tensor, scale_K1: Tensor) -> Tensor:
    """The squared error of the observations that the decoder reads from all states, where they are stored."""
    assert model.decoder is not None and batch.observation_mask_BK is not None
    stored_BK = batch.observation_mask_BK
    mask_BK1 = torch.cat([torch.ones_like(stored_BK[:, :1]), stored_BK], dim=1)
    observed = model.observe(torch.cat([batch.observation.unsqueeze(1), following_observations(batch)], dim=1))
    decoded = model.decoder(state_BK1.flatten(0, 1)).unflatten(0, mask_BK1.shape)
    return _weighted((decoded - observed).square().flatten(2).sum(2), mask_BK1 * scale_K1, batch)


def _step_scales(batch: Batch, loss_scale: str) -> Tensor:
    """1 / K for each step, and for the root 1 or 1 / K, [K + 1]."""
    weight_B, num_unroll_steps = batch.weight_B, batch.action_BK.shape[1]
    share = 1.0 / max(1, num_unroll_steps)  # searches by the game's rules unroll nothing
    scale_K1 = torch.full((num_unroll_steps + 1,), share, dtype=weight_B.dtype, device=weight_B.device)
    if loss_scale == "steps":
        scale_K1[:1].fill_(1.0)  # scale_K1[0] = 1.0 would copy a number to the device and wait for it
    return scale_K1


def _reward_targets(model: Model, batch: Batch) -> Tensor:
    """Reward targets [B, K]; with value prefix, their sums since the last reset."""
    if model.value_prefix is None:
        return batch.reward_target_BK
    return torch.cat([part.cumsum(1) for part in batch.reward_target_BK.split(model.value_prefix.horizon, 1)], dim=1)


def _scalar_loss(outputs: Tensor, target_BK: Tensor, bins_M: Tensor | None) -> tuple[Tensor, Tensor]:
    """The loss [B, K], squared error if there are no bins, and which targets lie outside the bins."""
    if bins_M is None:
        return (outputs.squeeze(-1) - target_BK) ** 2, torch.zeros_like(target_BK, dtype=torch.bool)
    target, clipped = two_hot(target_BK, bins_M)
    return _cross_entropy(outputs, target), clipped


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * log_softmax(logits, dim=-1)).sum(-1)


def _weighted(loss_BK: Tensor, scale_BK: Tensor, batch: Batch) -> Tensor:
    """Sum over the unroll, mean over the batch."""
    return (batch.weight_B * (loss_BK * scale_BK).sum(1)).mean()


@torch.no_grad()
def _value_error(outputs_BM: Tensor, value_target_B: Tensor, bins_M: Tensor | None) -> Tensor:
    """|v - z| in the targets' own precision."""
    return (head_scalar(outputs_BM.to(value_target_B.dtype), bins_M) - value_target_B).abs()


class LossFunction(nn.Module):
    """The loss of the model, with the profile's loss weights and precision; `discount` has the game's sign.

    In training mode it turns each sample by one of these symmetries of the game.
    """

    def __init__(
        self, model: Model, config: LearnerConfig, symmetries: Sequence[Symmetry] = (), discount: float = 1.0
    ) -> None:
        super().__init__()
        self.model = model
        self._choices: dict[str, Any] = {
            name: getattr(config, name)
            for name in (
                *("value_loss_weight", "consistency_loss_weight", "reconstruction_loss_weight"),
                *("entropy_loss_weight", "commitment_loss_weight", "loss_scale", "consistency_steps"),
            )
        }
        self._choices["discount"] = discount
        self._choices["augmentation"] = Augmentation(config.augment_shift, config.augment_intensity)
        device = next(model.parameters()).device
        self._device_type, self._bfloat16 = device.type, uses_bfloat16(config, device)
        self._symmetries = Symmetries(symmetries).to(device) if symmetries else None

    def forward(self, batch: Batch) -> Losses:
        """See muzero_loss."""
        if self._symmetries is not None and self.model.training:
            batch = self._symmetries(batch)
        with self._arithmetic():
            return muzero_loss(self.model, batch, **self._choices)

    def _arithmetic(self) -> AbstractContextManager:
        return torch.autocast(self._device_type, torch.bfloat16) if self._bfloat16 else nullcontext()


def uses_bfloat16(config: LearnerConfig, device: torch.device) -> bool:
    """Whether forward and backward passes run in bfloat16 on this device."""
    if config.precision == "auto":
        return device_has_bfloat16(device)
    return config.precision == "bfloat16"


def compiled(loss: nn.Module, batch: Batch, *, note: Callable[[str], None]) -> nn.Module:
    """Returns `loss` compiled, after a trial on `batch`; if that fails, notes why and returns `loss` unchanged."""
    note("learner.compile: the first step compiles the loss, which can take minutes")
    fast = torch.compile(loss)
    try:
        fast(batch).total.backward()
    except _DEVICE_FAILURES:
        raise
    except _COMPILE_FAILURES as error:
        note(f"learner.compile: {type(error).__name__}: {reason_of(error)}: the learner continues without it")
        return loss
    return fast  # type: ignore[return-value]
