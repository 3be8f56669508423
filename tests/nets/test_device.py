"""Devices by name, and a model in its place."""

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.errors import DeviceError
from mzpipe.nets import FlatWeights, Model, learner_devices, numpy_state, place_model, resolve_devices

SMALL = NetworkConfig(kind="residual", num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3)


def make_model():
    torch.manual_seed(0)
    return Model(SMALL, (3, 16, 16), 4).eval()


def test_a_placed_model_computes_the_same_from_weights_in_another_order():
    plain, placed = make_model(), place_model(make_model(), "cpu")
    convolution = next(layer for layer in placed.modules() if isinstance(layer, torch.nn.Conv2d))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    images, action_B = torch.rand(5, 3, 16, 16), torch.tensor([0, 1, 2, 3, 0])
    with torch.inference_mode():
        for model in (plain, placed):
            root = model.initial_inference(images)
            node = model.recurrent_inference(root.hidden_state, action_B)
            model.found = (root.hidden_state, node.hidden_state, node.reward_logits_BM, node.policy_logits_BA)
    for first, second in zip(plain.found, placed.found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_the_flat_weights_and_the_state_of_a_placed_model_are_those_of_the_plain_one():
    plain, placed = make_model(), place_model(make_model(), "cpu")
    flat = FlatWeights(plain).read()
    np.testing.assert_array_equal(FlatWeights(placed).read(), flat)
    for (name, first), second in zip(numpy_state(plain).items(), numpy_state(placed).values(), strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)
        assert second.flags["C_CONTIGUOUS"]
    FlatWeights(placed).write(2.0 * flat)
    np.testing.assert_array_equal(FlatWeights(placed).read(), 2.0 * flat)


def test_devices_by_name():
    assert resolve_devices(["cpu", "cpu"]) == ["cpu", "cpu"]
    assert learner_devices(["cpu"]) == ("cpu",)
    with pytest.raises(DeviceError, match=r"device 99: this machine has \d+ CUDA devices; use 'cpu' or 'auto'"):
        resolve_devices([99])
