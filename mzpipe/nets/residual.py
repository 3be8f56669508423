"""The three functions as residual convolutional networks, for image observations.

Down-sampling of images (MuZero appendix F): stride-2 convolution, residual
blocks, stride-2 convolution, blocks, pool, blocks, pool. A 96x96 or 84x84 image
becomes 6x6. Boards keep their rows and columns (appendix F).

Shape legend    B samples   C channels   Y, X hidden-state rows and columns   A actions
                M outputs of a value or reward head   `grid` is (Y, X)   `head` is (channels, units) of a head
"""

import torch
from torch import Tensor, nn

_DOWNSAMPLINGS = 4


def downsampled(image_side: int) -> int:
    """Returns the rows (or columns) of the hidden state for an image with this many."""
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
        """The features after the block, in the same shape."""
        return torch.relu(features + self.second(torch.relu(self.first(features))))


class ResidualRepresentation(nn.Module):
    """Stacked image in [0, 1] or board planes -> unscaled hidden state [B, C, Y, X].

    downsample_blocks None keeps the rows and columns.
    """

    def __init__(
        self, image_channels: int, num_channels: int, num_blocks: int, downsample_blocks: tuple[int, int, int] | None
    ) -> None:
        super().__init__()
        if downsample_blocks is None:
            first: list[nn.Module] = [_convolution(image_channels, num_channels), nn.ReLU()]
        else:
            first = _downsampling(image_channels, num_channels, downsample_blocks)
        self.layers = nn.Sequential(*first, *_blocks(num_channels, num_blocks))

    def forward(self, observation: Tensor) -> Tensor:
        """Unscaled hidden state."""
        return self.layers(observation)


class ResidualDynamics(nn.Module):
    """Hidden state and action -> (reward outputs, unscaled next hidden state).

    The action enters as a plane, made by `action_plane` [B] -> [B, 1, Y, X]. Without reward_outputs (None) it returns
    head channels * Y * X flat features, for a value prefix.
    """

    def __init__(
        self,
        num_channels: int,
        num_blocks: int,
        action_plane: nn.Module,
        grid: tuple[int, int],
        head: tuple[int, int],
        reward_outputs: int | None,
    ) -> None:
        super().__init__()
        self.action_plane = action_plane
        self.mix = _convolution(num_channels + 1, num_channels)
        self.blocks = nn.Sequential(*_blocks(num_channels, num_blocks))
        self.reward: nn.Module
        if reward_outputs is None:
            self.reward = nn.Sequential(*_flat_features(num_channels, head[0]))
        else:
            self.reward = ResidualHead(num_channels, grid, head, reward_outputs)

    def forward(self, hidden_state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward outputs [B, M] (or features) and unscaled next hidden state [B, C, Y, X]."""
        plane = self.action_plane(action).to(hidden_state.dtype)
        features = torch.relu(hidden_state + self.mix(torch.cat([hidden_state, plane], dim=1)))
        features = self.blocks(features)
        return self.reward(features), features


class ResidualPrediction(nn.Module):
    """Hidden state -> (policy logits, value outputs)."""

    def __init__(
        self,
        num_channels: int,
        num_blocks: int,
        num_actions: int,
        grid: tuple[int, int],
        head: tuple[int, int],
        value_outputs: int,
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*_blocks(num_channels, num_blocks))
        self.policy = ResidualHead(num_channels, grid, head, num_actions)
        self.value = ResidualHead(num_channels, grid, head, value_outputs)

    def forward(self, hidden_state: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [B, A] and value outputs [B, M]."""
        features = self.blocks(hidden_state)
        return self.policy(features), self.value(features)


class ResidualHead(nn.Module):
    """1x1 convolution, then two linear layers."""

    def __init__(self, num_channels: int, grid: tuple[int, int], head: tuple[int, int], num_outputs: int) -> None:
        super().__init__()
        channels, units = head
        self.layers = nn.Sequential(
            *_flat_features(num_channels, channels), nn.Linear(channels * grid[0] * grid[1], units), nn.ReLU()
        )
        self.out = nn.Linear(units, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs."""
        return self.out(self.layers(features))


def _downsampling(image_channels: int, num_channels: int, num_blocks: tuple[int, int, int]) -> list[nn.Module]:
    half = max(1, num_channels // 2)
    return [
        _convolution(image_channels, half, stride=2),
        nn.ReLU(),
        *_blocks(half, num_blocks[0]),
        _convolution(half, num_channels, stride=2),
        nn.ReLU(),
        *_blocks(num_channels, num_blocks[1]),
        nn.AvgPool2d(3, stride=2, padding=1),
        *_blocks(num_channels, num_blocks[2]),
        nn.AvgPool2d(3, stride=2, padding=1),
    ]


def _blocks(num_channels: int, num_blocks: int) -> list[ResidualBlock]:
    return [ResidualBlock(num_channels) for _ in range(num_blocks)]


def _flat_features(num_channels: int, channels: int) -> list[nn.Module]:
    """A 1x1 convolution to fewer channels, laid flat."""
    convolution = nn.Conv2d(num_channels, channels, 1, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten()]


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))
