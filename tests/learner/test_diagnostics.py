"""Diagnostics of a batch against the same numbers computed one sample and one step at a time."""

import copy

import numpy as np
import pytest
import torch

from mzpipe.ipc.diagnostics import MODEL_PARTS, diagnostics_layout
from mzpipe.learner.diagnostics import diagnose, gradient_norms
from mzpipe.learner.loss import muzero_loss
from mzpipe.nets.support import inverse_transform
from tests.learner.batches import NUM_ACTIONS, UNROLL, make_batch, make_model
from tests.learner.test_loss import BINS, masked_batch, shake, without_steps


def scalar(logits):
    return float(inverse_transform(torch.softmax(logits.double(), -1) @ BINS.double()))


def naive_errors(model, batch):
    """Mean |v_k - z_k| and |r_k - u_k| per unroll step, over the targets that count."""
    values, rewards = [[] for _ in range(UNROLL + 1)], [[] for _ in range(UNROLL)]
    for row in range(len(batch.weight_B)):
        output = model.initial_inference(batch.observation[row : row + 1])
        for k in range(UNROLL + 1):
            if k:
                output = model.recurrent_inference(output.hidden_state, batch.action_BK[row : row + 1, k - 1])
                if batch.reward_mask_BK[row, k - 1]:
                    reward = scalar(output.reward_logits_BM[0])
                    rewards[k - 1].append(abs(reward - float(batch.reward_target_BK[row, k - 1])))
            if batch.value_mask_BK1[row, k]:
                values[k].append(abs(scalar(output.value_logits_BM[0]) - float(batch.value_target_BK1[row, k])))
    return [np.mean(each) for each in values], [np.mean(each) for each in rewards]


@pytest.mark.parametrize("batch", [make_batch(), masked_batch()], ids=["full", "masked and weighted"])
def test_errors_are_means_over_the_targets_that_count(batch):
    model = shake(make_model()).eval()
    found = diagnose(model, batch)
    with torch.no_grad():
        values, rewards = naive_errors(model, batch)
    np.testing.assert_allclose(found["value_error"], values, rtol=1e-4)
    np.testing.assert_allclose(found["reward_error"], rewards, rtol=1e-4)


def test_entropies_run_from_zero_to_that_of_the_uniform_policy():
    model, batch = make_model(), make_batch()
    assert diagnose(model, batch)["policy_entropy"] == pytest.approx(np.log(NUM_ACTIONS), rel=1e-5)  # zero start
    certain = torch.zeros_like(batch.policy_target_BK1A)
    certain[..., 1] = 1.0
    assert diagnose(model, batch._replace(policy_target_BK1A=certain))["search_policy_entropy"] == 0.0
    half = torch.zeros_like(certain)
    half[..., :2] = 0.5
    batch.policy_mask_BK1[0] = 0.0
    half[0] = 1.0 / NUM_ACTIONS  # masked: does not count
    found = diagnose(model, batch._replace(policy_target_BK1A=half))["search_policy_entropy"]
    assert found == pytest.approx(np.log(2), rel=1e-5)


def test_sample_size_is_that_of_the_importance_weights():
    model, batch = make_model(), make_batch()
    assert diagnose(model, batch)["sample_size"] == pytest.approx(6.0)
    one = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert diagnose(model, batch._replace(weight_B=one))["sample_size"] == pytest.approx(1.0)


def test_state_spread_is_zero_when_every_observation_is_represented_alike():
    model, batch = shake(make_model()), make_batch()
    assert diagnose(model, batch)["state_spread"] > 0.01
    with torch.no_grad():
        model.representation.out.weight.zero_()
    assert diagnose(model, batch)["state_spread"] == pytest.approx(0.0, abs=1e-7)


def test_gradient_norms_are_those_of_the_parts():
    model, batch = shake(make_model()), make_batch()
    assert gradient_norms(model).tolist() == [0.0] * len(MODEL_PARTS)
    muzero_loss(model, batch, value_loss_weight=0.25).total.backward()
    norms = dict(zip(MODEL_PARTS, gradient_norms(model), strict=True))
    for part in ("representation", "dynamics", "prediction"):
        gradients = [p.grad.double().numpy().ravel() for p in getattr(model, part).parameters()]
        assert norms[part] == pytest.approx(np.linalg.norm(np.concatenate(gradients)), rel=1e-5)
    assert norms["value_prefix"] == norms["consistency"] == 0.0


def test_diagnosis_fits_its_segment_and_changes_nothing():
    model, batch = make_model().train(), make_batch()
    before = copy.deepcopy(model.state_dict())
    layout = diagnostics_layout(UNROLL)
    gauges = layout.views(bytearray(layout.nbytes))
    found = diagnose(model, batch) | {"gradient_norm": gradient_norms(model)}
    for name, value in found.items():
        gauges[name][:] = value
    assert found.keys() == gauges.keys() - {"learner_steps"}
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_batches_without_steps_have_the_errors_of_the_sampled_positions():
    model, batch = shake(make_model()).eval(), make_batch()._replace(observation_mask_BK=None)
    found, expected = diagnose(model, without_steps(batch)), diagnose(model, batch)
    np.testing.assert_allclose(found["value_error"], expected["value_error"][:1], rtol=1e-6)  # another batch shape
    assert found["reward_error"].shape == (0,)
    assert found["policy_entropy"] == expected["policy_entropy"]
