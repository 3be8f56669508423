"""The value prefix as searches use it, against the same LSTM run step by step along one path."""

import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import Model
from mzpipe.nets.support import expected_scalar, two_hot

HORIZON, STEPS = 3, 8
CONFIGS = {
    "mlp": ({"hidden_size": 16}, (4,)),
    "mlp, plain heads": ({"hidden_size": 16, "heads": "scalar"}, (4,)),
    "residual": (
        {"kind": "residual", "num_channels": 8, "head_channels": 4, "head_hidden_size": 8, "lstm_size": 10},
        (4, 32, 32),
    ),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def model(request):
    config, shape = request.param
    torch.manual_seed(0)
    network = NetworkConfig(
        value_prefix=True, value_prefix_horizon=HORIZON, value_support_size=5, reward_support_size=4, **config
    )
    model = Model(network, shape, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.observation = torch.rand(2, *shape)
    return model.double().eval()


def walk(model, actions_KB, start=None):
    """Outputs from the root along the actions."""
    output = start or model.initial_inference(model.observation.double())
    outputs = [output]
    for action_B in actions_KB:
        output = model.recurrent_inference(output.hidden_state, action_B)
        outputs.append(output)
    return outputs


def actions(seed, steps=STEPS):
    return torch.randint(0, 3, (steps, 2), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_rewards_are_differences_of_sums_that_begin_anew_every_horizon_steps(model):
    state, lstm, before = model.represent(model.observation.double()), None, 0.0
    path = actions(1)
    for k, output in enumerate(walk(model, path)[1:], start=1):
        features, state = model.step(state, path[k - 1])
        if (k - 1) % HORIZON == 0:
            lstm, before = None, 0.0
        sums, lstm = model.value_prefix(features, lstm)
        now = model._reward_scalar(sums)
        torch.testing.assert_close(output.reward_logits_BM, sums)
        torch.testing.assert_close(model.reward(output), now - before)
        assert model.reward(output).abs().min() > 1e-6
        torch.testing.assert_close(output.hidden_state[:, : model.state_size], state.flatten(1))
        before = now


@torch.no_grad()
def test_hidden_state_is_one_vector_whose_state_alone_is_scaled(model):
    outputs = walk(model, actions(2))
    for depth, output in enumerate(outputs):
        assert output.hidden_state.shape == (2, *model.hidden_shape)
        state, memory = output.hidden_state.split([model.state_size, model.value_prefix.memory_size], dim=1)
        assert state.amin(1).tolist() == pytest.approx([0.0, 0.0], abs=1e-9)
        assert state.amax(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-9)
        assert memory[:, -1].tolist() == [depth % HORIZON] * 2
        assert bool((memory == 0).all()) == (depth % HORIZON == 0)


@torch.no_grad()
def test_nodes_of_different_depths_share_a_batch(model):
    outputs = walk(model, actions(3))
    parents = torch.cat([output.hidden_state[:1] for output in outputs[:-1]])
    together = model.recurrent_inference(parents, actions(3)[:, 0])
    expected = torch.cat([model.reward(output)[:1] for output in outputs[1:]])
    torch.testing.assert_close(model.reward(together), expected)
    torch.testing.assert_close(together.hidden_state, torch.cat([output.hidden_state[:1] for output in outputs[1:]]))


@torch.no_grad()
def test_rewards_start_at_zero_and_are_zero_at_the_root(model):
    torch.nn.init.zeros_(model.value_prefix.out.weight)
    torch.nn.init.zeros_(model.value_prefix.out.bias)
    root, child = walk(model, actions(4, steps=1))
    assert root.reward_logits_BM is None
    assert model.reward(root).tolist() == [0.0, 0.0]
    assert model.reward(child).tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_last_layer_starts_at_zero():
    for config, shape in CONFIGS.values():
        model = Model(NetworkConfig(value_prefix=True, **config), shape, 3)
        assert not model.value_prefix.out.weight.any()
        assert not model.value_prefix.out.bias.any()


@pytest.mark.parametrize("reward", [0.0, 2.0, 5.0, 20.0, 100.0, -100.0])
def test_reward_is_exact_to_its_logits_when_the_network_computes_in_bfloat16(reward):
    """The reward of a step is a difference of two sums, so their rounding would be many times its own size."""
    torch.manual_seed(0)
    model = Model(NetworkConfig(value_prefix=True, hidden_size=16, reward_support_size=300), (4,), 3).eval()
    target, _ = two_hot(torch.tensor(reward), model.reward_bins)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model.value_prefix.out.bias.copy_((target + 1e-9).log())
        root = model.initial_inference(torch.rand(2, 4))
        child = model.recurrent_inference(root.hidden_state, torch.tensor([0, 1]))
        assert child.reward_logits_BM.dtype == torch.bfloat16
        found = model.reward(child)
    expected = expected_scalar(child.reward_logits_BM.float(), model.reward_bins)
    torch.testing.assert_close(found.float(), expected, rtol=0.0, atol=1e-2)
    torch.testing.assert_close(found.float(), torch.full((2,), reward), rtol=5e-3, atol=1e-2)
