"""The three functions as small multilayer perceptrons, for vector observations.

Shape legend    B samples   H hidden units   A actions   M outputs of a value or reward head
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .norm import OVER_BATCH, Norms
from .parts import PartsLogits, PartsVector


class MlpRepresentation(nn.Module):
    """Stacked observation -> unscaled hidden state [B, H]."""

    def __init__(self, observation_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), *_hidden_layers(observation_size, hidden_size, num_layers))
        self.out = nn.Linear(hidden_size, hidden_size)

    def forward(self, observation: Tensor) -> Tensor:
        """Unscaled hidden state."""
        return self.out(self.layers(observation))


class MlpDynamics(nn.Module):
    """Hidden state and action -> (reward outputs, unscaled next hidden state).

    The action enters as a learned vector added before the first activation, which
    is a linear layer over the one-hot action concatenated to the hidden state (with
    parts, over the one-hot parts); with action_size it is itself a vector, and
    enters through a hidden layer of its own: without it a small network learns only
    rewards that rise with a number or fall.
    Without reward_outputs (None) it returns the features themselves, for a value prefix.
    """

    def __init__(
        self,
        hidden_size: int,
        num_actions: int,
        num_layers: int,
        reward_outputs: int | None,
        action_size: int = 0,
        parts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.state = nn.Linear(hidden_size, hidden_size)
        self.action: nn.Module = (
            PartsVector(parts, num_actions, hidden_size) if parts else nn.Embedding(num_actions, hidden_size)
        )
        if action_size:
            enter = nn.Linear(action_size, hidden_size)
            self.action = nn.Sequential(enter, nn.ReLU(), nn.Linear(hidden_size, hidden_size, bias=False))
        self.layers = nn.Sequential(*_hidden_layers(hidden_size, hidden_size, num_layers - 1))
        self.out = nn.Linear(hidden_size, hidden_size)
        self.reward = nn.Identity() if reward_outputs is None else nn.Linear(hidden_size, reward_outputs)

    def forward(self, hidden_state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward outputs [B, M] (or features [B, H]) and unscaled next hidden state [B, H]."""
        features = self.layers(torch.relu(self.state(hidden_state) + self.action(action)))
        return self.reward(features), hidden_state + self.out(features)


class MlpPrediction(nn.Module):
    """Hidden state -> (policy logits, value outputs)."""

    def __init__(
        self, hidden_size: int, num_actions: int, num_layers: int, value_outputs: int, parts: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_hidden_layers(hidden_size, hidden_size, num_layers))
        self.policy: nn.Module = (
            PartsLogits(hidden_size, parts, num_actions) if parts else nn.Linear(hidden_size, num_actions)
        )
        self.value = nn.Linear(hidden_size, value_outputs)

    def forward(self, hidden_state: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [B, A] and value outputs [B, M]."""
        features = self.layers(hidden_state)
        return self.policy(features), self.value(features)


def hidden_layer(size_in: int, size: int, *, norm: bool = False, norms: Norms = OVER_BATCH) -> list[nn.Module]:
    """A linear layer and its activation, with a normalisation between them or not."""
    return [nn.Linear(size_in, size), *([norms.rows(size)] if norm else []), nn.ReLU()]


def _hidden_layers(size_in: int, size: int, num_layers: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index in range(num_layers):
        layers += hidden_layer(size_in if index == 0 else size, size)
    return layers
