"""The loss as a module: its precision, and torch.compile where the profile asks for it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ..config import LearnerConfig
from ..nets import Model, device_has_bfloat16
from .loss import Batch, Losses, muzero_loss

# What a missing compiler, an unsupported device or an operator that cannot be compiled raise.
_COMPILE_FAILURES = (RuntimeError, ImportError, OSError)


class LossFunction(nn.Module):
    """`forward(batch)` is the loss of the model under the profile's weights and precision."""

    def __init__(self, model: Model, config: LearnerConfig) -> None:
        super().__init__()
        self.model = model
        self._weights = {
            "value_loss_weight": config.value_loss_weight,
            "consistency_loss_weight": config.consistency_loss_weight,
        }
        device = next(model.parameters()).device
        self._device_type, self._bfloat16 = device.type, uses_bfloat16(config, device)

    def forward(self, batch: Batch) -> Losses:
        """See muzero_loss."""
        with self._arithmetic():
            return muzero_loss(self.model, batch, **self._weights)

    def _arithmetic(self) -> AbstractContextManager:
        return torch.autocast(self._device_type, torch.bfloat16) if self._bfloat16 else nullcontext()


def uses_bfloat16(config: LearnerConfig, device: torch.device) -> bool:
    """Whether forward and backward passes run in bfloat16 there."""
    if config.precision == "auto":
        return device_has_bfloat16(device)
    return config.precision == "bfloat16"


def compiled(loss: nn.Module, batch: Batch, *, cuda_graphs: bool, note: Callable[[str], None]) -> nn.Module:
    """`loss` compiled, after an announced trial on `batch`; where that fails, says so and returns it as it is."""
    on_cuda = batch.weight_B.device.type == "cuda"
    if cuda_graphs and not on_cuda:
        note(f"learner.cuda_graphs=true: the learner's device is {batch.weight_B.device}: it goes on without")
    note("learner.compile: the first step compiles the loss, which can take minutes")
    fast = torch.compile(loss, mode="reduce-overhead" if cuda_graphs and on_cuda else "default")
    try:
        fast(batch).total.backward()
    except _COMPILE_FAILURES as error:
        reason = str(error).strip().partition("\n")[0]
        note(f"learner.compile: {type(error).__name__}: {reason}: the learner goes on without")
        return loss
    return fast  # type: ignore[return-value]
