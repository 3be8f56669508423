"""One training step: forward, backward, finite check, update.

A step is the same on one rank or many. The gradient is the mean over the ranks, so
R ranks with B / R unrolls each take the same step as one rank with B, except for
batch statistics. Either all ranks skip a step or none does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import LearnerConfig
from ..ipc.stages import Stage
from ..nets import Model
from .loss import Batch, Losses, LossFunction, compiled
from .optimizer import Optimizer, learning_rate
from .ranks import OneRank, Ranks
from .statistics import SavedBuffers


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Makes this thread's torch arithmetic on CPUs treat denormal numbers as zero, in and out, inside the context.

    Threads that torch starts inside it keep this setting afterwards.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class StepResult(NamedTuple):
    """The result of a training step; a skipped step leaves the model as it was."""

    losses: Losses
    skipped: bool


class TrainingStep:
    """The model's loss function, optimiser and schedule."""

    def __init__(
        self,
        model: Model,
        config: LearnerConfig,
        *,
        ranks: Ranks | OneRank | None = None,
        note: Callable[[str], None] = lambda line: None,
        ended: Callable[[Stage], None] = lambda stage: None,
    ) -> None:
        self._model, self._config, self._note, self._ended = model, config, note, ended
        self._ranks = ranks or OneRank()
        self._loss: nn.Module = self._ranks.spread(LossFunction(model, config))
        self._is_compiled = False
        self.optimizer = Optimizer(model, config)
        self.learner_steps = 0
        # If this is False on one rank, every rank skips its steps until the state is restored.
        self.is_sound = True

    def __call__(self, batch: Batch) -> StepResult:
        """Trains on one batch; a non-finite loss or gradient on any rank skips the update."""
        with flushed_denormals():
            return self._train(batch)

    def _train(self, batch: Batch) -> StepResult:
        self._model.train()
        self._compile_once(batch)
        buffers = SavedBuffers(self._model)
        self._model.take_mean(batch.observation, self.learner_steps)
        losses: Losses = self._loss(batch)
        self._ended(Stage.FORWARD)
        self.optimizer.clear_gradients()
        losses.total.backward()
        finite = self._finite(losses)
        self._ended(Stage.BACKWARD)
        if not finite:
            buffers.restore()  # a skipped step's statistics are as bad as its gradient
            return StepResult(losses, skipped=True)
        self.optimizer.step(learning_rate(self._config, self.learner_steps))
        self._ended(Stage.OPTIMIZER)
        self.learner_steps += 1
        return StepResult(losses, skipped=False)

    def _finite(self, losses: Losses) -> bool:
        """Clips the gradient; returns whether it, the loss and the trained state are sound on every rank."""
        limit = self._config.max_grad_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), limit)
        finite: Tensor = torch.isfinite(norm) & torch.isfinite(losses.total.detach())
        return self._ranks.all(finite & self.is_sound)

    def _compile_once(self, batch: Batch) -> None:
        if self._is_compiled or not (self._config.compile or self._config.cuda_graphs):
            return
        self._is_compiled = True
        buffers = SavedBuffers(self._model)
        self._loss = compiled(self._loss, batch, cuda_graphs=self._config.cuda_graphs, note=self._note)
        buffers.restore()
