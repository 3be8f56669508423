"""The loss against its plain twin, its gradient scales by hand, and one batch overfitted."""

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig
from mzpipe.learner.loss import muzero_loss
from mzpipe.learner.step import TrainingStep
from mzpipe.nets.scale import halve_gradient
from mzpipe.nets.support import two_hot
from mzpipe.targets import scalar_to_support
from tests.learner.batches import SUPPORT, UNROLL, make_batch, make_model
from tests.naive.loss import loss_parts

BINS = torch.arange(-SUPPORT, SUPPORT + 1.0)


def shake(model):
    """Random last layers, so that no loss is at its starting plateau."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def masked_batch():
    batch = make_batch(seed=3)
    generator = torch.Generator().manual_seed(4)
    return batch._replace(
        value_mask_BK1=(torch.rand(6, UNROLL + 1, generator=generator) > 0.3).float(),
        reward_mask_BK=(torch.rand(6, UNROLL, generator=generator) > 0.3).float(),
        policy_mask_BK1=(torch.rand(6, UNROLL + 1, generator=generator) > 0.3).float(),
        weight_B=torch.rand(6, generator=generator),
    )


@pytest.mark.parametrize("batch", [make_batch(), masked_batch()], ids=["full", "masked and weighted"])
def test_loss_equals_the_plain_twin(batch):
    model = shake(make_model())
    losses = muzero_loss(model, batch, value_loss_weight=0.25)
    policy, value, reward = loss_parts(shake(make_model()), batch, SUPPORT)
    assert losses.policy.item() == pytest.approx(policy, rel=1e-5)
    assert losses.value.item() == pytest.approx(value, rel=1e-5)
    assert losses.reward.item() == pytest.approx(reward, rel=1e-5)
    assert losses.total.item() == pytest.approx(policy + 0.25 * value + reward, rel=1e-5)


def test_loss_counts_targets_outside_the_support_when_they_are_not_masked():
    batch = make_batch()
    batch.value_target_BK1[0, 0] = 1e6
    batch.value_target_BK1[1, 0] = 1e6
    batch.value_mask_BK1[1, 0] = 0.0
    batch.reward_target_BK[2, 1] = -1e6
    assert muzero_loss(make_model(), batch, value_loss_weight=1.0).clipped.item() == 2


def test_halve_gradient_keeps_values_and_halves_gradients():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = halve_gradient(x)
    torch.testing.assert_close(y, x)
    (3.0 * y).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([1.5, 1.5]))


def test_loss_halves_the_gradient_at_every_dynamics_call():
    """Through k dynamics calls the gradient of a loss on state k reaches the root state times 2^-k."""
    batch = make_batch(batch_size=2)
    gradients = []
    for state in range(UNROLL + 1):
        model = shake(make_model(seed=1))
        only = torch.zeros(2, UNROLL + 1)
        only[:, state] = 1.0 if state == 0 else UNROLL  # undoes the scale 1 / K
        masked = batch._replace(
            value_mask_BK1=only,
            policy_mask_BK1=torch.zeros(2, UNROLL + 1),
            reward_mask_BK=torch.zeros(2, UNROLL),
        )
        losses = muzero_loss(model, masked, value_loss_weight=1.0)
        (halved,) = torch.autograd.grad(losses.total, model.representation.out.weight)
        plain = full_gradient(model, masked, state)
        gradients.append((halved, plain))
    for state, (halved, plain) in enumerate(gradients):
        torch.testing.assert_close(halved, plain * 0.5**state, rtol=1e-4, atol=1e-7)


def full_gradient(model, batch, state):
    """The same loss without any halving."""
    output = model.initial_inference(batch.observation)
    for k in range(state):
        output = model.recurrent_inference(output.hidden_state, batch.action_BK[:, k])
    target, _ = two_hot(batch.value_target_BK1[:, state], BINS)
    loss = -(target * torch.log_softmax(output.value_logits_BM, -1)).sum(-1).mean()
    return torch.autograd.grad(loss, model.representation.out.weight)[0]


def test_loss_reaches_the_targets_entropy_when_one_batch_is_overfitted():
    batch = make_batch(batch_size=8)
    step = TrainingStep(make_model(), LearnerConfig(learning_rate=3e-3, weight_decay=0.0))
    for _ in range(1500):
        losses = step(batch).losses
    policy, value, reward = entropies(batch)
    assert losses.policy.item() == pytest.approx(policy, abs=0.02)
    assert losses.value.item() == pytest.approx(value, abs=0.05)
    assert losses.reward.item() == pytest.approx(reward, abs=0.05)


def entropies(batch):
    """What each loss cannot fall below: the entropy of its targets."""
    scale = torch.full((UNROLL + 1,), 1.0 / UNROLL)
    scale[0] = 1.0
    value, _ = two_hot(batch.value_target_BK1, BINS)
    reward, _ = two_hot(batch.reward_target_BK, BINS)

    def entropy(target, scale):
        return (torch.special.entr(target).sum(-1) * scale).sum(1).mean().item()

    return entropy(batch.policy_target_BK1A, scale), entropy(value, scale), entropy(reward, scale[1:])


def test_two_hot_equals_the_numpy_twin():
    scalars = torch.tensor([0.0, 3.7, -3.7, 1e6, -1e6, 0.004, 47.9])
    target, _ = two_hot(scalars, BINS)
    np.testing.assert_allclose(target.numpy(), scalar_to_support(scalars.numpy(), SUPPORT), atol=2e-6)
