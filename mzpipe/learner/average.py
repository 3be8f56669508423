"""An exponential average of the trained weights, smoother than they are: what is published where it is kept."""

import copy

import torch

from ..nets import Model


class AverageWeights:
    """`model` is the average of `trained`, whose weight `update` takes in; batch statistics are its latest."""

    def __init__(self, trained: Model, decay: float) -> None:
        self._trained, self._decay = trained, decay
        self.model = copy.deepcopy(trained).requires_grad_(False)

    @torch.no_grad()
    def update(self) -> None:
        """average = decay * average + (1 - decay) * trained."""
        pairs = list(zip(self.model.parameters(), self._trained.parameters(), strict=True))
        torch._foreach_lerp_([mean for mean, _ in pairs], [weight for _, weight in pairs], 1.0 - self._decay)
        for mean, latest in zip(self.model.buffers(), self._trained.buffers(), strict=True):
            mean.copy_(latest)
