"""AverageWeights: the running average of the trained weights, which is published instead of them where one is kept."""

import copy

import torch
from torch import Tensor

from ..nets import Model


class AverageWeights:
    """Keeps in `model` a running average of the weights of `trained`, and its mean image.

    Batch statistics stay behind: `statistics` measures those of the average before anybody reads them.
    """

    def __init__(self, trained: Model, decay: float) -> None:
        self.model, self._trained, self._decay = copy.deepcopy(trained).requires_grad_(False), trained, decay
        self._mean: list[Tensor] = list(self.model.parameters())
        self._latest: list[Tensor] = list(trained.parameters())

    @torch.no_grad()
    def update(self, skipped: Tensor | None = None) -> None:
        """average = decay * average + (1 - decay) * trained; nothing where `skipped` is 1.0."""
        if skipped is None:
            torch._foreach_lerp_(self._mean, self._latest, 1.0 - self._decay)
        else:
            self._descend(skipped)
        if self.model.mean_image is not None and self._trained.mean_image is not None:
            self.model.mean_image.copy_(self._trained.mean_image)

    def _descend(self, skipped: Tensor) -> None:
        """A step of gradient descent towards the trained weights, for torch can skip such a step on the device."""
        apart = torch._foreach_sub(self._mean, self._latest)
        torch._fused_sgd_(
            self._mean,
            apart,
            [],
            lr=1.0 - self._decay,
            weight_decay=0.0,
            momentum=0.0,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
            found_inf=skipped,
        )
