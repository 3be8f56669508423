"""The two ways to normalise features: over a batch, or each sample over itself.

Batch normalisation is torch's, which does not count its batches on the device.

Torch adds one to a number there at every call, a launch on a GPU, and asks the device for it when statistics are plain
means. Here the host counts. `num_batches_tracked` stays in the state, for checkpoints have it, but counts nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm


class _CountedOnHost(_BatchNorm):
    # Calls since the statistics were reset.
    _calls = 0

    def reset_running_stats(self) -> None:
        """See torch."""
        super().reset_running_stats()
        self._calls = 0

    def forward(self, input: Tensor) -> Tensor:
        """See torch: with a momentum of None, statistics are the plain means over all calls since their reset."""
        self._check_input_dim(input)
        momentum = self.momentum
        if self.training and momentum is None:
            self._calls += 1
            momentum = 1.0 / self._calls
        statistics = self.running_mean, self.running_var
        return batch_norm(input, *statistics, self.weight, self.bias, self.training, momentum or 0.0, self.eps)


class BatchNorm1d(_CountedOnHost, nn.BatchNorm1d):
    """See torch's."""


class BatchNorm2d(_CountedOnHost, nn.BatchNorm2d):
    """See torch's."""


class LayerNorm(nn.GroupNorm):
    """Normalises each sample over all its channels and places: it has no statistics, so it plays as it trains."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(1, num_channels)

    def forward(self, input: Tensor) -> Tensor:
        """See torch, whose own checks a size that a traced graph does not know."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class Norms(NamedTuple):
    """How a function normalises: what makes the layer for planes of features, and for rows of them, of so many."""

    planes: Callable[[int], nn.Module]
    rows: Callable[[int], nn.Module]


OVER_BATCH, OVER_SAMPLE = Norms(BatchNorm2d, BatchNorm1d), Norms(LayerNorm, LayerNorm)
