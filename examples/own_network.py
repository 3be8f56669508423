"""A network of your own in one file: towers with layer normalisation, for games that observe numbers.

bin/mzpipe check-network examples/own_network.toml --allow-env-import
bin/mzpipe train examples/own_network.toml --allow-env-import
"""

import math

import torch
from torch import nn
from torch.nn.functional import one_hot


class Normed:
    """The three modules; called with the sizes of the game and of the heads, and with `network.arguments`."""

    def __init__(self, observation_shape, num_actions, reward_outputs, value_outputs, width=64):
        self.representation = nn.Sequential(nn.Flatten(), *hidden(math.prod(observation_shape), width))
        self.dynamics = Dynamics(num_actions, reward_outputs, width)
        self.prediction = Prediction(num_actions, value_outputs, width)


class Dynamics(nn.Module):
    """A state [B, width] and an action [B], int64 -> outputs of the reward head, and the next state."""

    def __init__(self, num_actions, reward_outputs, width):
        super().__init__()
        self.num_actions = num_actions
        self.step = nn.Sequential(*hidden(width + num_actions, width), nn.Linear(width, width))
        self.reward = head(width, reward_outputs)

    def forward(self, state, action):
        action = one_hot(action, self.num_actions).to(state.dtype)
        change = self.step(torch.cat([state, action], dim=1))
        return self.reward(torch.relu(change)), state + change


class Prediction(nn.Module):
    """A state -> policy logits [B, num_actions], and outputs of the value head."""

    def __init__(self, num_actions, value_outputs, width):
        super().__init__()
        self.tower = nn.Sequential(*hidden(width, width))
        self.policy, self.value = head(width, num_actions), head(width, value_outputs)

    def forward(self, state):
        features = self.tower(state)
        return self.policy(features), self.value(features)


def hidden(size_in, size):
    return nn.Linear(size_in, size), nn.LayerNorm(size), nn.ReLU()


def head(size_in, num_outputs):
    """A linear layer that starts at zero: a uniform policy, value 0, reward 0."""
    layer = nn.Linear(size_in, num_outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
