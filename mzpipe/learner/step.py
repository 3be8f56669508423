"""One training step: forward, backward, finite check, update."""

from typing import NamedTuple

import torch
from torch.optim import Adam, Optimizer

from ..config import LearnerConfig
from ..nets import Model
from .loss import Batch, Losses, muzero_loss


class StepResult(NamedTuple):
    """What a training step did; a skipped one left the model as it was."""

    losses: Losses
    skipped: bool


class TrainingStep:
    """The model's optimiser and schedule."""

    def __init__(self, model: Model, config: LearnerConfig) -> None:
        self._model, self._config = model, config
        self.optimizer = _make_optimizer(model, config)
        self.learner_steps = 0

    def __call__(self, batch: Batch) -> StepResult:
        """Trains on one batch; a non-finite loss or gradient skips the update."""
        self._model.train()
        buffers = [buffer.clone() for buffer in self._model.buffers()]
        losses = muzero_loss(self._model, batch, value_loss_weight=self._config.value_loss_weight)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._config.max_grad_norm or float("inf"))
        if not bool(torch.isfinite(norm) & torch.isfinite(losses.total.detach())):
            self._restore_buffers(buffers)
            return StepResult(losses, skipped=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.step()
        self.learner_steps += 1
        return StepResult(losses, skipped=False)

    def _restore_buffers(self, buffers: list[torch.Tensor]) -> None:
        """Batch statistics of a skipped step are as bad as its gradient."""
        for buffer, before in zip(self._model.buffers(), buffers, strict=True):
            buffer.copy_(before)

    def learning_rate(self) -> float:
        """Of the next step: warm-up, then exponential decay."""
        config, step = self._config, self.learner_steps
        warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
        return config.learning_rate * warmup * config.lr_decay_rate ** (step / config.lr_decay_steps)


def _make_optimizer(model: Model, config: LearnerConfig) -> Optimizer:
    parameters, rate, decay = model.parameters(), config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        return Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=config.momentum, fused=True)
