"""The model: initial_inference and recurrent_inference over the three functions.

Shape legend    B samples   A actions   M bins of a support
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import NetworkConfig
from ..errors import ConfigError
from .mlp import MlpDynamics, MlpPrediction, MlpRepresentation
from .residual import ResidualDynamics, ResidualPrediction, ResidualRepresentation, hidden_side
from .scale import scale_hidden_state
from .support import expected_scalar

_MAX_PIXEL = 255.0


class NetworkOutput(NamedTuple):
    """Logits of one inference; reward_logits_BM is None at the root."""

    hidden_state: Tensor
    reward_logits_BM: Tensor | None
    value_logits_BM: Tensor
    policy_logits_BA: Tensor


class Model(nn.Module):
    """MuZero's three functions (Schrittwieser et al. 2020), hidden state in [0, 1] after each of them."""

    value_bins: Tensor
    reward_bins: Tensor

    def __init__(self, config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int) -> None:
        super().__init__()
        self.config = config
        build = _build_mlp if config.kind == "mlp" else _build_residual
        self.representation, self.dynamics, self.prediction, self.hidden_shape = build(
            config, observation_shape, num_actions
        )
        _zero_last_layers(self)
        for name, size in (("value_bins", config.value_support_size), ("reward_bins", config.reward_support_size)):
            self.register_buffer(name, torch.arange(-size, size + 1, dtype=torch.float32), persistent=False)

    def represent(self, observation: Tensor) -> Tensor:
        """h: the hidden state of stacked observations [B, ...]; uint8 images are scaled to [0, 1]."""
        if observation.dtype == torch.uint8:
            observation = observation.float() / _MAX_PIXEL
        return scale_hidden_state(self.representation(observation))

    def step(self, hidden_state: Tensor, action_B: Tensor) -> tuple[Tensor, Tensor]:
        """g: the reward logits of the action and the hidden state behind it."""
        reward_logits, unscaled = self.dynamics(hidden_state, action_B)
        return reward_logits, scale_hidden_state(unscaled)

    def initial_inference(self, observation: Tensor) -> NetworkOutput:
        """f(h(o)): the value and policy of an observed state."""
        hidden_state = self.represent(observation)
        policy_logits, value_logits = self.prediction(hidden_state)
        return NetworkOutput(hidden_state, None, value_logits, policy_logits)

    def recurrent_inference(self, hidden_state: Tensor, action_B: Tensor) -> NetworkOutput:
        """f(g(s, a)): the reward of the action, and the value and policy of the state behind it."""
        reward_logits, next_hidden_state = self.step(hidden_state, action_B)
        policy_logits, value_logits = self.prediction(next_hidden_state)
        return NetworkOutput(next_hidden_state, reward_logits, value_logits, policy_logits)

    def value(self, output: NetworkOutput) -> Tensor:
        """Scalar values [B]."""
        return expected_scalar(output.value_logits_BM, self.value_bins)

    def reward(self, output: NetworkOutput) -> Tensor:
        """Scalar rewards [B]; zero at the root."""
        if output.reward_logits_BM is None:
            return torch.zeros(len(output.value_logits_BM), device=output.value_logits_BM.device)
        return expected_scalar(output.reward_logits_BM, self.reward_bins)


Functions = tuple[nn.Module, nn.Module, nn.Module, tuple[int, ...]]


def _build_mlp(config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int) -> Functions:
    hidden, layers = config.hidden_size, config.num_layers
    observation_size = int(torch.Size(observation_shape).numel())
    return (
        MlpRepresentation(observation_size, hidden, layers),
        MlpDynamics(hidden, num_actions, layers, 2 * config.reward_support_size + 1),
        MlpPrediction(hidden, num_actions, layers, 2 * config.value_support_size + 1),
        (hidden,),
    )


def _build_residual(config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int) -> Functions:
    if len(observation_shape) != 3 or observation_shape[1] != observation_shape[2]:
        raise ConfigError(
            f"network.kind='residual' needs square images, this game's observations are {observation_shape}: "
            "set network.kind='mlp'"
        )
    channels, blocks, side = config.num_channels, config.num_blocks, hidden_side(observation_shape[1])
    head = (config.head_channels, config.head_hidden_size)
    return (
        ResidualRepresentation(observation_shape[0], channels, blocks),
        ResidualDynamics(channels, blocks, num_actions, side, head, 2 * config.reward_support_size + 1),
        ResidualPrediction(channels, blocks, num_actions, side, head, 2 * config.value_support_size + 1),
        (channels, side, side),
    )


def _zero_last_layers(model: Model) -> None:
    """Value, reward and policy start at zero (uniform categories), as in EfficientZero's recipe."""
    for head in (model.prediction.policy, model.prediction.value, model.dynamics.reward):
        last = getattr(head, "out", head)
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
