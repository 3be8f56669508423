"""The three functions, and the value prefix, at the sizes of a profile."""

from math import prod
from typing import NamedTuple

from torch import nn

from ..config import NetworkConfig
from ..errors import ConfigError
from .action_planes import BoardAction, OneHotAction, ScaledAction, VectorAction
from .candidates import policy_outputs
from .chance import ChanceDynamics, CodePlanes, CodeVector, Encoder
from .mlp import MlpDynamics, MlpPrediction, MlpRepresentation
from .norm import OVER_BATCH, OVER_SAMPLE, Norms
from .own import make_own
from .parts import check_parts
from .residual import (
    Downsampling,
    HeadSizes,
    ResidualDynamics,
    ResidualPrediction,
    ResidualRepresentation,
    downsampled,
)
from .value_prefix import ValuePrefix

_ActionPlane = ScaledAction | OneHotAction | BoardAction
_ACTION_PLANES: dict[str, type[_ActionPlane]] = {
    "scaled": ScaledAction,
    "planes": OneHotAction,
    "board": BoardAction,
}


class Functions(NamedTuple):
    """The parts of a model; the hidden state without the value prefix's memory has `state_shape`."""

    representation: nn.Module
    dynamics: nn.Module
    prediction: nn.Module
    value_prefix: ValuePrefix | None
    state_shape: tuple[int, ...]


def build_functions(
    config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int, action_size: int = 0
) -> Functions:
    """Newly initialised functions; action_size: actions are vectors of so many numbers, not 0: places in a list.

    Raises ConfigError when the observations or actions do not suit the network, and what `make_own` raises.
    """
    if config.is_own:
        (represent, step, predict), shape = make_own(config, observation_shape, num_actions, _head_outputs(config))
        return Functions(represent, step, predict, None, shape)
    if config.kind == "mlp":
        return _build_mlp(config, observation_shape, num_actions, action_size)
    return _build_residual(config, observation_shape, num_actions, action_size)


def _build_mlp(
    config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int, action_size: int
) -> Functions:
    hidden, layers, parts = config.hidden_size, config.num_layers, config.action_parts
    check_parts(parts, num_actions)
    reward, value = _head_outputs(config)
    return Functions(
        MlpRepresentation(prod(observation_shape), hidden, layers),
        _mlp_dynamics(config, num_actions, action_size, reward),
        MlpPrediction(hidden, policy_outputs(config, num_actions, action_size), layers, value, parts),
        _mlp_prefix(config, reward) if config.value_prefix else None,
        (hidden,),
    )


def _mlp_dynamics(config: NetworkConfig, num_actions: int, action_size: int, reward: int) -> nn.Module:
    hidden, layers, codes = config.hidden_size, config.num_layers, config.chance_codes
    outputs = None if config.value_prefix or codes else reward
    dynamics = MlpDynamics(hidden, num_actions, layers, outputs, action_size, config.action_parts)
    if not codes:
        return dynamics
    of_codes = MlpDynamics(hidden, codes, layers, reward)
    of_codes.action = CodeVector(codes, hidden)
    return ChanceDynamics(dynamics, of_codes, num_actions, codes)


def _build_residual(
    config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int, action_size: int
) -> Functions:
    channels, blocks, grid = config.num_channels, config.num_blocks, _grid(config, observation_shape)
    head = HeadSizes(config.head_channels, config.head_hidden_size, grid, config.head_norm)
    reward, value = _head_outputs(config)
    encoding = _ACTION_PLANES[config.action_encoding]
    action_plane = VectorAction(action_size, grid) if action_size else encoding(num_actions, grid)
    return Functions(
        _residual_representation(config, observation_shape[0]),
        _residual_dynamics(config, action_plane, head, num_actions, reward),
        ResidualPrediction(channels, blocks, policy_outputs(config, num_actions, action_size), head, value),
        _residual_prefix(config, head, reward) if config.value_prefix else None,
        (channels, *grid),
    )


def _residual_representation(config: NetworkConfig, num_planes: int) -> ResidualRepresentation:
    downsampling = Downsampling(config.downsample_blocks, config.residual_downsample)
    return ResidualRepresentation(
        num_planes, config.num_channels, config.num_blocks, downsampling if config.downsample == "atari" else None
    )


def _residual_dynamics(
    config: NetworkConfig, action_plane: _ActionPlane | VectorAction, head: HeadSizes, num_actions: int, reward: int
) -> nn.Module:
    channels, blocks, codes, norms = config.num_channels, config.num_blocks, config.chance_codes, _step_norms(config)
    if not codes:
        return ResidualDynamics(channels, blocks, action_plane, head, None if config.value_prefix else reward, norms)
    of_actions = ResidualDynamics(channels, blocks, action_plane, head, None, norms)
    of_codes = ResidualDynamics(channels, blocks, CodePlanes(codes, head.grid), head, reward, norms)
    return ChanceDynamics(of_actions, of_codes, num_actions, codes)


def build_encoder(config: NetworkConfig, observation_shape: tuple[int, ...]) -> Encoder | None:
    """The encoder of what chance did; None if the profile has no chance."""
    if not config.chance_codes:
        return None
    if config.kind == "mlp":
        body = MlpRepresentation(2 * prod(observation_shape), config.hidden_size, config.num_layers)
        return Encoder(body, config.hidden_size, config.hidden_size, config.chance_codes)
    features = config.num_channels * prod(_grid(config, observation_shape))
    return Encoder(
        _residual_representation(config, 2 * observation_shape[0]),
        features,
        config.head_hidden_size,
        config.chance_codes,
    )


def _mlp_prefix(config: NetworkConfig, outputs: int) -> ValuePrefix:
    hidden, horizon = config.hidden_size, config.value_prefix_horizon
    return ValuePrefix(hidden, hidden, hidden, outputs, horizon, norms=_step_norms(config))


def _residual_prefix(config: NetworkConfig, head: HeadSizes, outputs: int) -> ValuePrefix:
    features, horizon = head.channels * prod(head.grid), config.value_prefix_horizon
    return ValuePrefix(
        features, config.lstm_size, head.units, outputs, horizon, norm=head.norm, norms=_step_norms(config)
    )


def _step_norms(config: NetworkConfig) -> Norms:
    """Those of the functions that an unroll calls step by step, each time with the batch of one step."""
    return OVER_SAMPLE if config.steps_are_normalised_alone else OVER_BATCH


def _head_outputs(config: NetworkConfig) -> tuple[int, int]:
    """Outputs of the reward head and of the value head."""
    if config.heads == "scalar":
        return 1, 1
    return 2 * config.reward_support_size + 1, 2 * config.value_support_size + 1


def _grid(config: NetworkConfig, observation_shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the hidden state."""
    is_board = config.downsample == "none"
    if len(observation_shape) != 3 or not (is_board or observation_shape[1] == observation_shape[2]):
        raise ConfigError(
            "network.kind='residual' needs square images, or boards of any shape with network.downsample='none'; "
            f"this game's observations are {observation_shape}: set network.kind='mlp'"
        )
    rows, columns = observation_shape[1:]
    return (rows, columns) if is_board else (downsampled(rows), downsampled(columns))
