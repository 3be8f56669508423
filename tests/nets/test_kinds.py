"""Networks per profile: down-sampling, boards, plain heads; and which profiles are refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mzpipe.config import NetworkConfig, load_profile, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.games import describe_game
from mzpipe.nets import Model, mean_image_weight
from mzpipe.nets.residual import ResidualBlock, StridedBlock

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
    assert child.policy_logits_BA.shape == (2, game.num_actions + profile.network.chance_codes)
    assert torch.isfinite(child.hidden_state).all()


def layout(model):
    """Kinds of the representation's layers, in order; a convolution as its strides."""
    names = {ResidualBlock: "block", StridedBlock: "strided", nn.ReLU: "relu", nn.AvgPool2d: "pool"}
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


def test_second_halving_is_a_residual_block_where_the_profile_says_so():
    model = Model(NetworkConfig(residual_downsample=True, **RESIDUAL), (4, 96, 96), 6)
    assert layout(model) == "2 relu block strided block pool block pool block"
    (strided,) = [layer for layer in model.representation.layers if isinstance(layer, StridedBlock)]
    features = torch.rand(2, 4, 10, 10)
    expected = torch.relu(strided.shortcut(features) + strided.second(torch.relu(strided.first(features))))
    assert torch.equal(strided(features), expected)
    assert expected.shape == (2, 8, 5, 5)


def test_a_64_pixel_image_becomes_4x4():
    model = Model(NetworkConfig(**RESIDUAL), (4, 64, 64), 6)
    assert (
        model.represent(torch.zeros(2, 4, 64, 64, dtype=torch.uint8)).shape == (2, *model.hidden_shape) == (2, 8, 4, 4)
    )


def test_heads_normalise_where_the_profile_says_so():
    plain, normal = (Model(NetworkConfig(head_norm=norm, **RESIDUAL), (4, 32, 32), 6) for norm in (False, True))
    for head in (normal.prediction.policy, normal.prediction.value, normal.dynamics.reward):
        assert [type(layer).__name__ for layer in head.layers[-3:]] == ["Linear", "BatchNorm1d", "ReLU"]
    assert len(normal.state_dict()) - len(plain.state_dict()) == 3 * len(nn.BatchNorm1d(1).state_dict())
    prefix = Model(NetworkConfig(head_norm=True, value_prefix=True, **RESIDUAL), (4, 32, 32), 6).value_prefix
    assert [type(layer).__name__ for layer in prefix.layers] == ["BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU"]


def test_an_mlp_that_normalises_nothing_has_no_choice_of_how():
    stop = "[stop]\nlearner_steps = 1\n"
    with pytest.raises(ConfigError, match=r"network\.dynamics_norm='layer': network\.kind='mlp' normalises nothing"):
        parse_profile(stop, ("network.dynamics_norm=layer",))
    parse_profile(stop, ("network.dynamics_norm=layer", "network.value_prefix=true"))


@pytest.mark.parametrize("scaling", ["min-max", "none"])
def test_states_are_scaled_or_left(scaling):
    model = Model(NetworkConfig(state_scaling=scaling, **RESIDUAL), (4, 32, 32), 6).eval()
    observation = torch.rand(3, 4, 32, 32)
    unscaled = model.representation(observation)
    state = model.represent(observation)
    _, child = model.step(state, torch.tensor([0, 1, 2]))
    if scaling == "none":
        assert torch.equal(state, unscaled)
        assert torch.equal(child, model.dynamics(unscaled, torch.tensor([0, 1, 2]))[1])
    else:
        for each in (state, child):
            assert (each.flatten(1).aminmax(dim=1).min == 0.0).all()
            assert (each.flatten(1).aminmax(dim=1).max == 1.0).all()


def test_mean_image_is_the_mean_of_the_first_batches_and_then_stays():
    model = Model(NetworkConfig(mean_image=True, **RESIDUAL), (4, 32, 32), 6)
    batches = torch.randint(0, 256, (105, 8, 4, 32, 32), dtype=torch.uint8)
    assert torch.equal(model.observe(batches[0]), batches[0] / 255.0)
    for steps, batch in enumerate(batches):
        model.take_mean(batch, mean_image_weight(steps))
    mean = batches[:100].double().mean((0, 1)) / 255.0
    torch.testing.assert_close(model.mean_image.double(), mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.observe(batches[0]), (batches[0] / 255.0 - mean).float(), rtol=0, atol=1e-5)
    assert "mean_image" in model.state_dict()


def test_model_without_a_mean_image_has_none_in_its_state():
    model = Model(NetworkConfig(**RESIDUAL), (4, 32, 32), 6)
    model.take_mean(torch.ones(2, 4, 32, 32), 1.0)
    assert model.mean_image is None
    assert "mean_image" not in model.state_dict()


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
            r"^network.downsample_blocks=\(2, 3, 3\): network.kind='mlp' has no down-sampling of images: leave it out",
        ),
        (
            ["network.kind=residual", "network.downsample=none", "network.downsample_blocks=[2, 3, 3]"],
            r"^network.downsample_blocks=\(2, 3, 3\): network.downsample='none' has no down-.*'atari'$",
        ),
        (
            ["network.downsample_blocks=[2, -1, 3]"],
            r"^network.downsample_blocks=-1: input should be greater than or eq",
        ),
        (["network.downsample_blocks=[2, 3]"], r"^network.downsample_blocks="),
        (
            ["network.mean_image=true"],
            r"^network.mean_image=true: network.kind='mlp' has no down-sampling of images: leave it out, or set",
        ),
        (
            ["network.kind=residual", "network.downsample=none", "network.mean_image=true"],
            r"^network.mean_image=true: network.downsample='none' has no down-sampling of images: leave it out, or set",
        ),
        (
            ["network.kind=residual", "network.downsample=none", "network.residual_downsample=true"],
            r"^network.residual_downsample=true: network.downsample='none' has no down-sampling of images: .*'atari'$",
        ),
        (
            ["network.action_encoding=planes"],
            r"^network.action_encoding='planes': network.kind='mlp' has no convolutions: leave it out, or set network",
        ),
        (["network.head_norm=true"], r"^network.head_norm=true: network.kind='mlp' has no convolutions: leave it out"),
        (
            ["network.action_encoding=onehot"],
            r"^network.action_encoding='onehot': input should be 'scaled', 'planes' or 'board'$",
        ),
        (["network.state_scaling=max"], r"^network.state_scaling='max': input should be 'min-max' or 'none'$"),
        (
            ["network.kind=residual", "network.head_norm=true", "learner.batch_size=1"],
            r"^learner.batch_size=1: network.head_norm normalises over each rank's part: set at least 2$",
        ),
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
