"""The loss against its plain twin, its gradient scales by hand and by finite differences, one batch overfitted."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from mzpipe.config import LearnerConfig
from mzpipe.learner import loss as module
from mzpipe.learner.loss import LossFunction, muzero_loss
from mzpipe.learner.step import TrainingStep
from mzpipe.nets.support import halve_gradient, two_hot
from mzpipe.targets import scalar_to_support
from tests.learner.batches import SUPPORT, UNROLL, in_float64, make_batch, make_model, with_mask, with_observations
from tests.naive.loss import CONSISTENCY, loss_parts, step_parts

BINS = torch.arange(-SUPPORT, SUPPORT + 1.0)
SIMSIAM = {"consistency": True, "consistency_projection_size": 12, "consistency_hidden_size": 7}
NETWORKS = {
    "categorical": {},
    "scalar": {"heads": "scalar"},
    "value prefix": {"value_prefix": True, "value_prefix_horizon": UNROLL},
    "value prefix, reset in the unroll": {"value_prefix": True, "value_prefix_horizon": 3},
    "scalar value prefix, reset each step": {"value_prefix": True, "value_prefix_horizon": 1, "heads": "scalar"},
    "consistency": SIMSIAM,
    "all": {**SIMSIAM, "heads": "scalar", "value_prefix": True, "value_prefix_horizon": 2},
}


def shake(model):
    """Random last layers, so that no loss is at its starting plateau."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def masked_batch():
    batch = with_mask(with_observations(make_batch(seed=3)), [4, 3, 2, 0, 4, 1])
    generator = torch.Generator().manual_seed(4)

    def mask(places):
        return (torch.rand(6, places, generator=generator) > 0.3).float()

    return batch._replace(
        value_mask_BK1=mask(UNROLL + 1),
        reward_mask_BK=mask(UNROLL),
        policy_mask_BK1=mask(UNROLL + 1),
        weight_B=torch.rand(6, generator=generator),
    )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("batch", [with_observations(make_batch()), masked_batch()], ids=["full", "masked, weighted"])
def test_loss_equals_the_plain_twin(batch, network):
    model, batch = shake(make_model(**network)).double().eval(), in_float64(batch)
    losses = muzero_loss(model, batch, value_loss_weight=0.25, consistency_loss_weight=2.0)
    policy, value, reward, consistency = loss_parts(model, batch, SUPPORT)
    assert losses.policy.item() == pytest.approx(policy, rel=1e-6)
    assert losses.value.item() == pytest.approx(value, rel=1e-6)
    assert losses.reward.item() == pytest.approx(reward, rel=1e-6)
    assert losses.consistency.item() == pytest.approx(consistency, rel=1e-6)
    assert losses.total.item() == pytest.approx(policy + 0.25 * value + reward + 2.0 * consistency, rel=1e-6)
    assert (consistency != 0.0) == network.get("consistency", False)


@pytest.mark.parametrize("loss_scale", ["steps", "all"])
def test_loss_scales_the_root_like_the_steps_when_the_profile_says_all(loss_scale):
    model, batch = shake(make_model(**NETWORKS["consistency"])).double().eval(), in_float64(masked_batch())
    losses = LossFunction(model, LearnerConfig(loss_scale=loss_scale))(batch)
    expected = loss_parts(model, batch, SUPPORT, loss_scale=loss_scale)
    found = [losses.policy.item(), losses.value.item(), losses.reward.item(), losses.consistency.item()]
    assert found == pytest.approx(expected, rel=1e-6)
    assert losses.total.item() == pytest.approx(expected @ WEIGHTS, rel=1e-6)


def test_consistency_normalises_over_the_batch_while_training():
    model, batch = shake(make_model(**NETWORKS["consistency"])).double(), in_float64(masked_batch())
    twin = loss_parts(model, batch, SUPPORT, training=True)[CONSISTENCY]
    losses = muzero_loss(model.train(), batch, value_loss_weight=0.25)
    assert losses.consistency.item() == pytest.approx(twin, rel=1e-6)
    assert twin != pytest.approx(loss_parts(model, batch, SUPPORT)[CONSISTENCY], rel=1e-3)


@pytest.mark.parametrize("training", [False, True])
def test_consistency_of_one_drawn_step_per_sample_equals_the_plain_twin(training, monkeypatch):
    model, batch = shake(make_model(**NETWORKS["consistency"])).double(), in_float64(masked_batch())
    drawn_B = torch.tensor([0, 3, 1, 1, 2, 0])
    assert len(set(batch.observation_mask_BK[range(6), drawn_B].tolist())) == 2
    monkeypatch.setattr(module, "draw_steps", lambda unrolls, steps, device: drawn_B[:, None])
    twin = loss_parts(model, batch, SUPPORT, training=training, drawn_B=(drawn_B + 1).tolist())[CONSISTENCY]
    losses = muzero_loss(model.train(training), batch, value_loss_weight=0.25, consistency_steps="one")
    assert losses.consistency.item() == pytest.approx(twin, rel=1e-6)


def test_drawn_steps_are_equally_likely_and_independent():
    torch.manual_seed(0)
    step_B1 = module.draw_steps(40_000, 4, torch.device("cpu"))
    assert step_B1.shape == (40_000, 1)
    pair_B = 4 * step_B1[::2, 0] + step_B1[1::2, 0]
    assert chisquare(np.bincount(pair_B, minlength=16)).pvalue > 1e-3


def test_consistency_of_one_step_has_the_loss_and_gradient_of_all_when_every_draw_is_averaged(monkeypatch):
    model, batch = shake(make_model(**NETWORKS["consistency"])).double().eval(), in_float64(masked_batch())

    def consistency_and_gradient(consistency_steps):
        weights = {"value_loss_weight": 0.25, "consistency_loss_weight": 2.0}
        losses = muzero_loss(model, batch, consistency_steps=consistency_steps, **weights)
        (gradient,) = torch.autograd.grad(losses.total, model.dynamics.state.weight)
        return torch.cat([losses.consistency[None], gradient.flatten()])

    each = []
    for step in range(UNROLL):
        monkeypatch.setattr(
            module, "draw_steps", lambda unrolls, steps, device, step=step: torch.full((unrolls, 1), step)
        )
        each.append(consistency_and_gradient("one"))
    torch.testing.assert_close(torch.stack(each).mean(0), consistency_and_gradient("all"))


def test_loss_sends_no_gradient_into_the_consistency_target():
    model, batch = shake(make_model(**NETWORKS["consistency"])), with_observations(make_batch())
    batch = batch._replace(frame_BF=batch.frame_BF.requires_grad_())
    muzero_loss(model, batch, value_loss_weight=0.25, consistency_loss_weight=2.0).total.backward()
    assert batch.frame_BF.grad[:, 0].abs().max() > 0 and not batch.frame_BF.grad[:, 1:].any()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.consistency.predictor.parameters())


def test_loss_leaves_consistency_out_when_the_model_has_no_such_head():
    losses = muzero_loss(make_model(), make_batch(), value_loss_weight=0.25, consistency_loss_weight=2.0)
    assert losses.consistency.item() == 0.0
    assert losses.total.item() == pytest.approx((losses.policy + 0.25 * losses.value + losses.reward).item())


def test_plain_heads_count_no_target_as_clipped():
    batch = make_batch()
    batch.value_target_BK1[0, 0] = 1e6
    assert muzero_loss(make_model(heads="scalar"), batch, value_loss_weight=1.0).clipped.item() == 0


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


TOY = {"hidden_size": 4, "consistency_projection_size": 5, "consistency_hidden_size": 3}
WEIGHTS = np.array([1.0, 0.25, 1.0, 2.0])


def toy(network, num_unroll_steps):
    """A model and a batch small enough to shake every parameter by hand."""
    model = shake(make_model(seed=5, **{**network, **TOY})).double().eval()
    return model, in_float64(with_observations(make_batch(batch_size=2, num_unroll_steps=num_unroll_steps)))


def total_gradient(model, batch, name):
    losses = muzero_loss(model, batch, value_loss_weight=0.25, consistency_loss_weight=2.0)
    return torch.autograd.grad(losses.total, model.get_parameter(name))[0].numpy()


def step_slopes(model, batch, name, call):
    """d (loss of state k, unscaled) / d parameter by central differences, [K + 1, parameter].

    The parameter is moved in one place only: in the representation function (call 0), or in the dynamics of the step
    into state `call`.
    """
    num_unroll_steps, step = batch.action_BK.shape[1], 1e-6
    slopes = []
    for index in range(model.get_parameter(name).numel()):
        losses = []
        for sign in (1.0, -1.0):
            moved = copy.deepcopy(model)
            moved.get_parameter(name).data[index] += sign * step
            dynamics = [moved if call == k else model for k in range(1, num_unroll_steps + 1)]
            root = moved if call == 0 else model
            losses.append(step_parts(root, batch, SUPPORT, dynamics=dynamics, observer=model) @ WEIGHTS)
        slopes.append((losses[0] - losses[1]) / (2.0 * step))
    return np.array(slopes).T


def expected_gradients(model, batch, scale_K1):
    """Gradients of representation and dynamics: each state's slope, halved once per dynamics call on its way back."""
    num_unroll_steps = batch.action_BK.shape[1]

    def total(name, call):
        halvings = np.maximum(np.arange(num_unroll_steps + 1) - call, 0)
        return (scale_K1 * 0.5**halvings) @ step_slopes(model, batch, name, call)

    dynamics = sum(total("dynamics.state.bias", call) for call in range(1, num_unroll_steps + 1))
    return total("representation.out.bias", 0), dynamics


def matches(found, expected):
    return all(np.allclose(ours, theirs, rtol=1e-4, atol=1e-7) for ours, theirs in zip(found, expected, strict=True))


def found_gradients(model, batch):
    return [total_gradient(model, batch, name) for name in ("representation.out.bias", "dynamics.state.bias")]


@pytest.mark.parametrize("network", ["categorical", "scalar", "consistency"])
@pytest.mark.parametrize("num_unroll_steps", [1, 3])
def test_gradient_is_that_of_finite_differences_with_scales_and_halvings(network, num_unroll_steps, monkeypatch):
    model, batch = toy(NETWORKS[network], num_unroll_steps)
    scale_K1 = np.array([1.0] + [1.0 / num_unroll_steps] * num_unroll_steps)
    expected = expected_gradients(model, batch, scale_K1)
    assert matches(found_gradients(model, batch), expected)
    if num_unroll_steps > 1:
        assert not matches(found_gradients(model, batch), expected_gradients(model, batch, np.ones_like(scale_K1)))
    monkeypatch.setattr(module, "halve_gradient", lambda state: state)
    assert not matches(found_gradients(model, batch), expected)


def test_loss_halves_states_only_and_not_what_the_value_prefix_carries(monkeypatch):
    shapes = []
    monkeypatch.setattr(module, "halve_gradient", lambda state: shapes.append(tuple(state.shape)) or state)
    muzero_loss(make_model(**NETWORKS["value prefix"]), make_batch(), value_loss_weight=1.0)
    assert shapes == [(6, 32)] * UNROLL


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
    """The lower bound of each loss: the entropy of its targets."""
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


def without_steps(batch):
    """The batch as a run whose searches walk the game's own rules has it: the sampled positions alone."""
    parts = {name: value for name, value in batch._asdict().items() if value is not None}
    of_steps = {name: value[:, :0] for name, value in parts.items() if name.endswith("_BK")}
    of_states = {name: value[:, :1] for name, value in parts.items() if "_BK1" in name}
    return batch._replace(**(of_steps | of_states))


@pytest.mark.parametrize("network", [{}, {"heads": "scalar"}], ids=["categorical", "scalar"])
def test_loss_of_batches_without_steps_is_that_of_the_sampled_positions(network):
    model, batch = shake(make_model(**network)).double().eval(), in_float64(make_batch())
    batch = batch._replace(observation_mask_BK=None)
    losses = muzero_loss(model, without_steps(batch), value_loss_weight=0.25)
    states = {name: torch.zeros_like(getattr(batch, name)) for name in ("value_mask_BK1", "policy_mask_BK1")}
    for name, mask_BK1 in states.items():
        mask_BK1[:, 0] = getattr(batch, name)[:, 0]
    alone = batch._replace(**states, reward_mask_BK=torch.zeros_like(batch.reward_mask_BK))
    expected = muzero_loss(model, alone, value_loss_weight=0.25)
    for found, wanted in zip(losses, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    losses.total.backward()
    assert all(parameter.grad is None for parameter in model.dynamics.parameters())


def test_a_step_on_batches_without_steps_trains_all_but_a_dynamics_that_is_left_alone():
    model = shake(make_model()).train()
    model.dynamics.requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    step, batch = TrainingStep(model, LearnerConfig()), without_steps(make_batch()._replace(observation_mask_BK=None))
    assert step.would_take(batch)
    step.begin(batch)
    assert not step.finish().skipped
    same = {name.partition(".")[0] for name, value in before.items() if torch.equal(value, model.get_parameter(name))}
    assert same == {"dynamics"}
