"""The model's shapes, scaling, flat form and restoring."""

import resource
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.errors import CheckpointError, ConfigError, DeviceError
from mzpipe.nets import FlatWeights, Model, model_of, numpy_state, resolve_devices, restore_model
from mzpipe.nets.support import expected_scalar, inverse_transform, scale_hidden_state, transform
from mzpipe.runs.checkpoint import Checkpoint
from mzpipe.targets import support_to_scalar, value_transform, value_transform_inverse

SMALL = {"value_support_size": 5, "reward_support_size": 2}
KINDS = {
    "mlp": (NetworkConfig(hidden_size=16, **SMALL), (4,), torch.float32),
    "residual": (
        NetworkConfig(kind="residual", num_channels=8, num_blocks=1, head_channels=4, **SMALL),
        (4, 84, 84),
        torch.uint8,
    ),
    "residual 96": (
        NetworkConfig(kind="residual", num_channels=8, num_blocks=0, head_channels=4, **SMALL),
        (3, 96, 96),
        torch.uint8,
    ),
}


def build(kind):
    config, shape, dtype = KINDS[kind]
    observation = torch.randint(0, 255, (3, *shape), dtype=dtype) if dtype is torch.uint8 else torch.randn(3, *shape)
    return Model(config, shape, 6), observation


@pytest.mark.parametrize("kind", KINDS)
def test_model_gives_logits_of_every_head_and_a_hidden_state_in_the_unit_interval(kind):
    model, observation = build(kind)
    root = model.initial_inference(observation)
    child = model.recurrent_inference(root.hidden_state, torch.tensor([0, 3, 5], dtype=torch.int32))
    assert root.reward_logits_BM is None
    assert model.reward(root).tolist() == [0.0, 0.0, 0.0]
    assert child.reward_logits_BM.shape == (3, 5)
    for output in (root, child):
        assert output.hidden_state.shape == (3, *model.hidden_shape)
        assert output.value_logits_BM.shape == (3, 11)
        assert output.policy_logits_BA.shape == (3, 6)
        flat = output.hidden_state.flatten(1)
        torch.testing.assert_close(flat.amin(1), torch.zeros(3))
        torch.testing.assert_close(flat.amax(1), torch.ones(3))


@pytest.mark.parametrize("kind", KINDS)
def test_model_starts_with_value_zero_reward_zero_and_a_uniform_policy(kind):
    model, observation = build(kind)
    root = model.initial_inference(observation)
    child = model.recurrent_inference(root.hidden_state, torch.zeros(3, dtype=torch.int32))
    torch.testing.assert_close(model.value(root), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.reward(child), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(root.policy_logits_BA, torch.zeros(3, 6))


def test_model_lets_actions_change_the_next_hidden_state():
    for kind in KINDS:
        model, observation = build(kind)
        model.eval()
        hidden = model.initial_inference(observation[:1]).hidden_state.repeat_interleave(6, 0)
        states = model.recurrent_inference(hidden, torch.arange(6)).hidden_state.flatten(1)
        assert torch.cdist(states, states).fill_diagonal_(1.0).min() > 0


def test_model_refuses_a_residual_network_when_observations_are_vectors():
    with pytest.raises(ConfigError, match=r"network.kind='residual' needs square images.*set network.kind='mlp'"):
        Model(NetworkConfig(kind="residual"), (4,), 2)


def test_scale_hidden_state_stays_finite_when_the_state_is_constant():
    torch.testing.assert_close(scale_hidden_state(torch.full((2, 3), 7.0)), torch.zeros(2, 3))


def test_torch_transform_equals_the_numpy_twin():
    x = np.concatenate([-np.logspace(-3, 5, 50), [0.0], np.logspace(-3, 5, 50)])
    np.testing.assert_allclose(transform(torch.from_numpy(x)).numpy(), value_transform(x), rtol=1e-12, atol=1e-12)
    y = value_transform(x)
    np.testing.assert_allclose(
        inverse_transform(torch.from_numpy(y)).numpy(), value_transform_inverse(y), rtol=1e-9, atol=1e-9
    )


def test_expected_scalar_equals_the_numpy_twin():
    logits = torch.randn(7, 11)
    found = expected_scalar(logits, torch.arange(-5.0, 6.0))
    expected = support_to_scalar(torch.softmax(logits, -1).numpy(), 5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_flat_weights_carry_a_model_into_another():
    (source, observation), (target, _) = build("residual"), build("residual")
    source.train()
    source.initial_inference(observation)  # moves the batch statistics
    FlatWeights(target).write(FlatWeights(source).read())
    source.eval()
    target.eval()
    first, second = source.initial_inference(observation), target.initial_inference(observation)
    torch.testing.assert_close(first.hidden_state, second.hidden_state, rtol=0, atol=0)


def test_restore_model_brings_back_every_tensor():
    (source, _), (target, _) = build("residual"), build("residual")
    restore_model(target, Checkpoint(numpy_state(source), {}, {}))
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name]), name


def test_model_of_takes_no_memory_for_a_model_that_is_not_the_checkpoints():
    source, _ = build("mlp")
    config, shape, _ = KINDS["mlp"]
    former, used = resource.getrlimit(resource.RLIMIT_AS), psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), former[1]))
    try:
        with pytest.raises(CheckpointError, match="checkpoint of another model"):
            model_of(Checkpoint(numpy_state(source), {}, {}), replace(config, hidden_size=1 << 20), shape, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)


def test_model_of_has_every_tensor_of_the_checkpoint():
    source, _ = build("mlp")
    config, shape, _ = KINDS["mlp"]
    weights = numpy_state(source)
    restored = numpy_state(model_of(Checkpoint(weights, {}, {}), config, shape, 6))
    assert restored.keys() == weights.keys()
    assert all(np.array_equal(restored[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda weights: weights.pop("prediction.value.bias"), "prediction.value.bias is only in one of the two"),
        (
            lambda weights: weights.update({"prediction.value.bias": np.zeros(3, np.float32)}),
            r"prediction.value.bias is torch.float32 \(3,\), the model has torch.float32 \(11,\)",
        ),
    ],
    ids=["missing", "shape"],
)
def test_restore_model_names_the_tensor_when_the_checkpoint_is_another_models(change, text):
    model, _ = build("mlp")
    weights = numpy_state(model)
    change(weights)
    with pytest.raises(CheckpointError, match=text):
        restore_model(model, Checkpoint(weights, {}, {}))


def test_resolve_devices_names_the_missing_one():
    assert resolve_devices(["cpu"]) == ["cpu"]
    with pytest.raises(DeviceError, match=r"device 99: this machine has \d+ CUDA devices; use 'cpu' or 'auto'"):
        resolve_devices([99])
