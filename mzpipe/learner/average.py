"""An exponential average of the trained weights, smoother than they are: what is published where it is kept."""

import copy

import torch

from ..nets import Model


class AverageWeights:
    """`model` is the average of `trained`, whose weight `update` takes in; batch statistics are its latest."""

    def __init__(self, trained: Model, decay: float) -> None:
        self.model, self._decay = copy.deepcopy(trained).requires_grad_(False), decay
        self._mean: list[torch.Tensor] = list(self.model.parameters())
        self._latest: list[torch.Tensor] = list(trained.parameters())
        self._statistics = list(zip(self.model.buffers(), trained.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """average = decay * average + (1 - decay) * trained."""
        torch._foreach_lerp_(self._mean, self._latest, 1.0 - self._decay)
        for kept, latest in self._statistics:
            kept.copy_(latest)
