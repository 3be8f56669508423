"""The three functions as residual convolutional networks, for image observations.

Down-sampling of images (MuZero appendix F): stride-2 convolution, residual
blocks, stride-2 convolution, blocks, pool, blocks, pool. A 96x96 or 84x84 image
becomes 6x6, one of 64x64 4x4. Boards keep their rows and columns (appendix F).

Shape legend    B samples   C channels   Y, X hidden-state rows and columns   A actions
                M outputs of a value or reward head   `grid` is (Y, X)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .action_planes import BoardAction, OneHotAction, ScaledAction, VectorAction
from .chance import CodePlanes
from .mlp import hidden_layer
from .norm import OVER_BATCH, Norms

_DOWNSAMPLINGS = 4


class Downsampling(NamedTuple):
    """The residual blocks after the first, second and third halving of an image; whether the second is one itself."""

    num_blocks: tuple[int, int, int]
    is_residual: bool


class HeadSizes(NamedTuple):
    """The sizes of policy, value and reward heads, and whether they normalise between their linear layers."""

    channels: int
    units: int
    grid: tuple[int, int]
    norm: bool


def downsampled(image_side: int) -> int:
    """Returns the rows (or columns) of the hidden state for an image with this many."""
    for _ in range(_DOWNSAMPLINGS):
        image_side = (image_side + 1) // 2
    return image_side


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with normalisation around a shortcut."""

    def __init__(self, num_channels: int, norms: Norms = OVER_BATCH) -> None:
        super().__init__()
        self.first = _convolution(num_channels, num_channels, norms=norms)
        self.second = _convolution(num_channels, num_channels, norms=norms)

    def forward(self, features: Tensor) -> Tensor:
        """The features after the block, in the same shape."""
        return torch.relu(features + self.second(torch.relu(self.first(features))))


class StridedBlock(nn.Module):
    """A residual block that halves the rows and columns, with a strided convolution as its shortcut (EfficientZero)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = _convolution(channels_in, channels_out, stride=2)
        self.second = _convolution(channels_out, channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features of half the rows and columns."""
        return torch.relu(self.shortcut(features) + self.second(torch.relu(self.first(features))))


class ResidualRepresentation(nn.Module):
    """Stacked image or board planes -> unscaled hidden state [B, C, Y, X].

    downsampling None keeps the rows and columns.
    """

    def __init__(
        self, image_channels: int, num_channels: int, num_blocks: int, downsampling: Downsampling | None
    ) -> None:
        super().__init__()
        if downsampling is None:
            first: list[nn.Module] = [_convolution(image_channels, num_channels), nn.ReLU()]
        else:
            first = _downsampling(image_channels, num_channels, downsampling)
        self.layers = nn.Sequential(*first, *_blocks(num_channels, num_blocks))

    def forward(self, observation: Tensor) -> Tensor:
        """Unscaled hidden state."""
        return self.layers(observation)


class ResidualDynamics(nn.Module):
    """Hidden state and action -> (reward outputs, unscaled next hidden state).

    The action enters as planes, made by `action_plane` [B] -> [B, P, Y, X]. Without reward_outputs (None) it returns
    head channels * Y * X flat features, for a value prefix.
    """

    def __init__(
        self,
        num_channels: int,
        num_blocks: int,
        action_plane: ScaledAction | OneHotAction | BoardAction | VectorAction | CodePlanes,
        head: HeadSizes,
        reward_outputs: int | None,
        norms: Norms = OVER_BATCH,
    ) -> None:
        super().__init__()
        self.action_plane = action_plane
        self.mix = _convolution(num_channels + action_plane.num_planes, num_channels, norms=norms)
        self.blocks = nn.Sequential(*_blocks(num_channels, num_blocks, norms))
        self.reward: nn.Module
        if reward_outputs is None:
            self.reward = nn.Sequential(*_flat_features(num_channels, head.channels, norms))
        else:
            self.reward = ResidualHead(num_channels, head, reward_outputs, norms)

    def forward(self, hidden_state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward outputs [B, M] (or features) and unscaled next hidden state [B, C, Y, X]."""
        planes = self.action_plane(action).to(hidden_state.dtype)
        features = torch.relu(hidden_state + self.mix(torch.cat([hidden_state, planes], dim=1)))
        features = self.blocks(features)
        return self.reward(features), features


class ResidualPrediction(nn.Module):
    """Hidden state -> (policy logits, value outputs)."""

    def __init__(
        self, num_channels: int, num_blocks: int, num_actions: int, head: HeadSizes, value_outputs: int
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*_blocks(num_channels, num_blocks))
        self.policy = ResidualHead(num_channels, head, num_actions)
        self.value = ResidualHead(num_channels, head, value_outputs)

    def forward(self, hidden_state: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [B, A] and value outputs [B, M]."""
        features = self.blocks(hidden_state)
        return self.policy(features), self.value(features)


class ResidualHead(nn.Module):
    """1x1 convolution, then two linear layers."""

    def __init__(self, num_channels: int, head: HeadSizes, num_outputs: int, norms: Norms = OVER_BATCH) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_flat_features(num_channels, head.channels, norms),
            *hidden_layer(head.channels * head.grid[0] * head.grid[1], head.units, norm=head.norm, norms=norms),
        )
        self.out = nn.Linear(head.units, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs."""
        return self.out(self.layers(features))


def _downsampling(image_channels: int, num_channels: int, downsampling: Downsampling) -> list[nn.Module]:
    half, num_blocks = max(1, num_channels // 2), downsampling.num_blocks
    return [
        *_halving(image_channels, half),
        *_blocks(half, num_blocks[0]),
        *([StridedBlock(half, num_channels)] if downsampling.is_residual else _halving(half, num_channels)),
        *_blocks(num_channels, num_blocks[1]),
        nn.AvgPool2d(3, stride=2, padding=1),
        *_blocks(num_channels, num_blocks[2]),
        nn.AvgPool2d(3, stride=2, padding=1),
    ]


def _halving(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [_convolution(channels_in, channels_out, stride=2), nn.ReLU()]


def _blocks(num_channels: int, num_blocks: int, norms: Norms = OVER_BATCH) -> list[ResidualBlock]:
    return [ResidualBlock(num_channels, norms) for _ in range(num_blocks)]


def _flat_features(num_channels: int, channels: int, norms: Norms) -> list[nn.Module]:
    """A 1x1 convolution to fewer channels, laid flat."""
    convolution = nn.Conv2d(num_channels, channels, 1, bias=False)
    return [convolution, norms.planes(channels), nn.ReLU(), nn.Flatten()]


def _convolution(channels_in: int, channels_out: int, stride: int = 1, norms: Norms = OVER_BATCH) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, norms.planes(channels_out))
