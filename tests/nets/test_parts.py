"""Actions by parts: vectors and logits are sums over parts; places without parts have their own; bad sizes."""

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.nets import Model
from mzpipe.nets.parts import PartsLogits, PartsVector

SIZES, ACTIONS = (2, 3, 3), 20  # 18 combine parts, two do not


def parts_of(action):
    """The rows of an action's parts among 2 + 3 + 3."""
    first, second, third = action // 9, action // 3 % 3, action % 3
    return first, 2 + second, 5 + third


def test_a_vector_is_the_sum_of_its_parts_vectors():
    vector = PartsVector(SIZES, ACTIONS, 4)
    rows = vector.vectors.weight
    for action in range(18):
        expected = sum(rows[part] for part in parts_of(action))
        torch.testing.assert_close(vector(torch.tensor([action]))[0], expected)
    for action in (18, 19):
        torch.testing.assert_close(vector(torch.tensor([action]))[0], rows[8 + action - 18])


def test_every_vector_can_be_learnt_and_the_padding_stays_zero():
    vector = PartsVector(SIZES, ACTIONS, 4)
    vector(torch.arange(ACTIONS)).sum().backward()
    taken = vector.vectors.weight.grad.abs().sum(dim=1) > 0.0
    assert taken[:-1].all() and not taken[-1]
    assert (vector.vectors.weight[-1] == 0.0).all()


def test_logits_are_those_of_an_actions_parts_or_its_own():
    logits = PartsLogits(6, SIZES, ACTIONS)
    features = torch.randn(5, 6)
    out = logits.out(features)
    for action in range(ACTIONS):
        rows = parts_of(action) if action < 18 else (8 + action - 18,)
        expected = sum(out[:, row] for row in rows)
        torch.testing.assert_close(logits(features)[:, action], expected)


def test_actions_that_share_parts_share_what_is_learnt():
    """Gradients of one action move those that have a part in common, and no others."""
    torch.manual_seed(0)
    model = Model(NetworkConfig(hidden_size=8, action_parts=SIZES), (5,), ACTIONS)
    state = model.represent(torch.rand(1, 5))
    before = [model.step(state, torch.tensor([action]))[1] for action in range(ACTIONS)]
    with torch.no_grad():
        model.dynamics.action.vectors.weight[2 + 1] += 1.0
    for action, old in enumerate(before):
        has_part = action < 18 and action // 3 % 3 == 1
        assert torch.equal(model.step(state, torch.tensor([action]))[1], old) != has_part


def test_policies_begin_uniform_with_parts_and_codes():
    model = Model(NetworkConfig(hidden_size=8, action_parts=SIZES, chance_codes=4), (5,), ACTIONS).eval()
    root = model.initial_inference(torch.rand(2, 5))
    np.testing.assert_array_equal(root.policy_logits_BA.detach(), np.zeros((2, ACTIONS + 4)))
    child = model.recurrent_inference(root.hidden_state, torch.tensor([17, ACTIONS + 3]))
    assert torch.isfinite(child.hidden_state).all()


def test_parts_that_combine_to_more_actions_than_the_game_has_are_refused():
    with pytest.raises(ConfigError, match=r"network.action_parts=\[2, 26, 26\]: they combine to 1352 actions"):
        Model(NetworkConfig(action_parts=(2, 26, 26)), (4,), 2)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ('kind = "residual"\naction_parts = [2]', "network.kind='residual' has network.action_encoding"),
        ("action_parts = [0]", "network.action_parts"),
        ('kind = "nowhere:Net"\naction_parts = [2]', "network.action_parts"),
    ],
)
def test_networks_without_parts_refuse_them(network, text):
    with pytest.raises(ConfigError, match=text):
        parse_profile(f'[game]\nname = "CartPole-v1"\n[network]\n{network}\n[stop]\nminutes = 1\n')
