"""The three functions as residual convolutional networks, for image observations.

Down-sampling of the representation (MuZero appendix F): stride-2 convolution,
residual block, stride-2 convolution, residual block, pool, residual block,
pool: a 96x96 image becomes 6x6, and so does an 84x84 one.

Shape legend    B samples   C channels   Y, X hidden-state rows and columns   A actions   M bins
"""

import torch
from torch import Tensor, nn

_DOWNSAMPLINGS = 4


def hidden_side(image_side: int) -> int:
    """Rows (and columns) of the hidden state of a square image."""
    for _ in range(_DOWNSAMPLINGS):
        image_side = (image_side + 1) // 2
    return image_side


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a shortcut."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.first = _convolution(num_channels, num_channels)
        self.second = _convolution(num_channels, num_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape as its input."""
        return torch.relu(features + self.second(torch.relu(self.first(features))))


class ResidualRepresentation(nn.Module):
    """Stacked image in [0, 1] -> unscaled hidden state [B, C, Y, X]."""

    def __init__(self, image_channels: int, num_channels: int, num_blocks: int) -> None:
        super().__init__()
        half = max(1, num_channels // 2)
        self.layers = nn.Sequential(
            _convolution(image_channels, half, stride=2),
            nn.ReLU(),
            ResidualBlock(half),
            _convolution(half, num_channels, stride=2),
            nn.ReLU(),
            ResidualBlock(num_channels),
            nn.AvgPool2d(3, stride=2, padding=1),
            ResidualBlock(num_channels),
            nn.AvgPool2d(3, stride=2, padding=1),
            *(ResidualBlock(num_channels) for _ in range(num_blocks)),
        )

    def forward(self, observation: Tensor) -> Tensor:
        """Unscaled hidden state."""
        return self.layers(observation)


class ResidualDynamics(nn.Module):
    """Hidden state and action -> (reward logits, unscaled next hidden state).

    The action enters as one plane holding (action + 1) / A.
    """

    def __init__(
        self, num_channels: int, num_blocks: int, num_actions: int, side: int, head: tuple[int, int], reward_bins: int
    ) -> None:
        super().__init__()
        self.num_actions = num_actions
        self.mix = _convolution(num_channels + 1, num_channels)
        self.blocks = nn.Sequential(*(ResidualBlock(num_channels) for _ in range(num_blocks)))
        self.reward = ResidualHead(num_channels, side, head, reward_bins)

    def forward(self, hidden_state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward logits [B, M] and unscaled next hidden state [B, C, Y, X]."""
        value = (action.to(hidden_state.dtype) + 1.0) / self.num_actions
        plane = value.view(-1, 1, 1, 1).expand(-1, 1, *hidden_state.shape[2:])
        features = torch.relu(hidden_state + self.mix(torch.cat([hidden_state, plane], dim=1)))
        features = self.blocks(features)
        return self.reward(features), features


class ResidualPrediction(nn.Module):
    """Hidden state -> (policy logits, value logits)."""

    def __init__(
        self, num_channels: int, num_blocks: int, num_actions: int, side: int, head: tuple[int, int], value_bins: int
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(num_channels) for _ in range(num_blocks)))
        self.policy = ResidualHead(num_channels, side, head, num_actions)
        self.value = ResidualHead(num_channels, side, head, value_bins)

    def forward(self, hidden_state: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [B, A] and value logits [B, M]."""
        features = self.blocks(hidden_state)
        return self.policy(features), self.value(features)


class ResidualHead(nn.Module):
    """1x1 convolution, then two linear layers; `head` is (channels, units)."""

    def __init__(self, num_channels: int, side: int, head: tuple[int, int], num_outputs: int) -> None:
        super().__init__()
        channels, units = head
        self.layers = nn.Sequential(
            nn.Conv2d(num_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * side * side, units),
            nn.ReLU(),
        )
        self.out = nn.Linear(units, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Logits."""
        return self.out(self.layers(features))


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))
