"""Networks per profile: down-sampling, boards, plain heads; and which profiles are refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mzpipe.config import NetworkConfig, load_profile, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.games import describe_game
from mzpipe.nets import Model
from mzpipe.nets.residual import ResidualBlock

PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.toml"))
SMALL = {"value_support_size": 5, "reward_support_size": 2}
RESIDUAL = {"kind": "residual", "num_channels": 8, "head_channels": 4, "head_hidden_size": 8, **SMALL}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_the_network_of_a_shipped_profile_takes_its_games_frames(path):
    profile = load_profile(path)
    game = describe_game(profile.game)
    model = Model(profile.network, game.observation_shape, game.num_actions).eval()
    root = model.initial_inference(torch.ones(2, *game.observation_shape, dtype=getattr(torch, game.frame_dtype)))
    child = model.recurrent_inference(root.hidden_state, torch.tensor([0, game.num_actions - 1]))
    assert child.policy_logits_BA.shape == (2, game.num_actions)
    assert torch.isfinite(child.hidden_state).all()


def layout(model):
    """Kinds of the representation's layers, in order; a convolution as its strides."""
    names = {ResidualBlock: "block", nn.ReLU: "relu", nn.AvgPool2d: "pool"}
    return " ".join(
        str(layer[0].stride[0]) if isinstance(layer, nn.Sequential) else names[type(layer)]
        for layer in model.representation.layers
    )


def test_downsampling_is_efficientzeros_unless_the_profile_says_otherwise():
    model = Model(NetworkConfig(num_blocks=2, **RESIDUAL), (4, 96, 96), 6)
    assert layout(model) == "2 relu block 2 relu block pool block pool block block"
    assert model.hidden_shape == (8, 6, 6)


def test_downsampling_takes_its_blocks_from_the_profile():
    model = Model(NetworkConfig(downsample_blocks=(2, 3, 0), num_blocks=0, **RESIDUAL), (4, 96, 96), 6)
    assert layout(model) == "2 relu block block 2 relu block block block pool pool"
    assert model.hidden_shape == (8, 6, 6)


@pytest.mark.parametrize("board", [(3, 3), (6, 7)])
def test_boards_keep_their_rows_and_columns(board):
    model = Model(NetworkConfig(downsample="none", num_blocks=1, **RESIDUAL), (3, *board), 7)
    assert layout(model) == "1 relu block"
    root = model.initial_inference(torch.rand(2, 3, *board))
    child = model.recurrent_inference(root.hidden_state, torch.tensor([0, 6]))
    assert root.hidden_state.shape == child.hidden_state.shape == (2, *model.hidden_shape) == (2, 8, *board)
    assert child.policy_logits_BA.shape == (2, 7)


def test_boards_that_are_not_square_are_refused_where_images_are_expected():
    with pytest.raises(
        ConfigError, match=r"needs square images, or boards of any shape with network.downsample='none'"
    ):
        Model(NetworkConfig(**RESIDUAL), (3, 6, 7), 7)


@pytest.mark.parametrize(
    ("config", "shape"), [({"hidden_size": 8}, (4,)), ({**RESIDUAL, "downsample": "none"}, (3, 3, 3))]
)
def test_plain_heads_say_their_number_untransformed(config, shape):
    model = Model(NetworkConfig(heads="scalar", **config), shape, 3)
    for head, number in ((model.prediction.value, 2.5), (model.dynamics.reward, -700.0)):
        nn.init.constant_(getattr(head, "out", head).bias, number)
    root = model.initial_inference(torch.rand(2, *shape))
    child = model.recurrent_inference(root.hidden_state, torch.tensor([0, 2]))
    assert root.value_logits_BM.shape == child.reward_logits_BM.shape == (2, 1)
    assert model.value(root).tolist() == [2.5, 2.5]
    assert model.reward(child).tolist() == [-700.0, -700.0]
    assert model.reward(root).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            ["network.downsample=none"],
            r"^network.downsample='none': network.kind='mlp' has no convolutions: leave it out, or set network.kind=",
        ),
        (
            ["network.downsample_blocks=[2, 3, 3]"],
            r"^network.downsample_blocks=\(2, 3, 3\): network.kind='mlp' has no down-sampling: leave it out, or set",
        ),
        (
            ["network.kind=residual", "network.downsample=none", "network.downsample_blocks=[2, 3, 3]"],
            r"^network.downsample_blocks=\(2, 3, 3\): network.downsample='none' has no down-sampling: .*'atari'$",
        ),
        (
            ["network.downsample_blocks=[2, -1, 3]"],
            r"^network.downsample_blocks=-1: input should be greater than or eq",
        ),
        (["network.downsample_blocks=[2, 3]"], r"^network.downsample_blocks="),
        (["network.downsample=half"], r"^network.downsample='half': input should be 'atari' or 'none'$"),
        (["network.heads=plain"], r"^network.heads='plain': input should be 'categorical' or 'scalar'$"),
        (["network.consistency_hidden_size=0"], r"^network.consistency_hidden_size=0: input should be greater"),
        (["network.value_prefix_horizon=65"], r"^network.value_prefix_horizon=65: input should be less than or equal"),
        (
            ["network.value_prefix=true", "learner.num_unroll_steps=3"],
            r"^network.value_prefix_horizon=5: an unroll has learner.num_unroll_steps=3 steps, .*: lower it to 3, or",
        ),
        (
            ["network.consistency=true", "learner.batch_size=1"],
            r"^learner.batch_size=1: network.consistency normalises over each rank's part: set at least 2$",
        ),
        (
            ["network.value_prefix=true", "learner.batch_size=1"],
            r"^learner.batch_size=1: network.value_prefix normalises over each rank's part: set at least 2$",
        ),
        (
            ["network.value_prefix=true", "learner.batch_size=2", "learner.devices=['cpu', 'cpu']"],
            r"^learner.batch_size=2: network.value_prefix normalises over each rank's part: set at least 4$",
        ),
    ],
)
def test_profile_refuses_networks_that_cannot_be(overrides, fault):
    with pytest.raises(ConfigError, match=fault):
        parse_profile("[stop]\nlearner_steps = 5\n", overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["network.consistency=true", "network.value_prefix=true", "network.heads=scalar"],
        ["network.kind=residual", "network.downsample=none", "network.consistency=true", "network.value_prefix=true"],
        ["network.kind=residual", "network.downsample_blocks=[2, 3, 3]", "network.num_channels=256"],
        ["learner.num_unroll_steps=3", "learner.batch_size=1"],
    ],
)
def test_profile_takes_networks_that_can(overrides):
    parse_profile("[stop]\nlearner_steps = 5\n", overrides)
