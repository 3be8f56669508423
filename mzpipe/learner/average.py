"""AverageWeights: the running average of the trained weights, which is published instead of them where one is kept."""

import copy

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..nets import Model


class AverageWeights:
    """Keeps in `model` a running average of the weights of `trained`, and its other state, such as the mean image.

    Batch statistics stay behind: `statistics` measures those of the average before anybody reads them.
    """

    def __init__(self, trained: Model, decay: float) -> None:
        self.model, self._decay = copy.deepcopy(trained).requires_grad_(False), decay
        self._mean: list[Tensor] = list(self.model.parameters())
        self._latest: list[Tensor] = list(trained.parameters())
        self._copied = list(zip(_other_state(self.model), _other_state(trained), strict=True))

    @torch.no_grad()
    def update(self, skipped: Tensor | None = None) -> None:
        """average = decay * average + (1 - decay) * trained; nothing where `skipped` is 1.0."""
        if skipped is None:
            torch._foreach_lerp_(self._mean, self._latest, 1.0 - self._decay)
        else:
            self._descend(skipped)
        for copied, latest in self._copied:
            copied.copy_(latest)

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


def _other_state(model: Model) -> list[Tensor]:
    """The buffers of the model's state that are no batch statistics."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    statistics = {id(buffer) for norm in norms for buffer in norm.buffers(recurse=False)}
    state = model.state_dict().keys()
    return [buffer for name, buffer in model.named_buffers() if name in state and id(buffer) not in statistics]
