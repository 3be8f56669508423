"""One training step: forward, backward, finite check, update.

A step is the same on one rank or many. The gradient is the mean over the ranks, so
R ranks with B / R unrolls each take the same step as one rank with B, except for
batch statistics. Either all ranks skip a step or none does.

On a GPU nobody waits for a step inside it. The device itself skips a step that is not
finite, and the step's numbers travel to the host in one copy, which `finish` reads
when the next step has begun. That next step then does not know on the host how many
steps were taken before it: what depends on their number is chosen on the device.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import LearnerConfig
from ..ipc.stages import Stage
from ..nets import Model, mean_image_weight
from .average import AverageWeights
from .loss import Batch, Losses, LossFunction, compiled
from .optimizer import Optimizer, learning_rate
from .ranks import OneRank, Ranks
from .statistics import SavedBuffers

# The step whose result is read while the next one runs, and that next one.
_MAX_BEGUN = 2


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
    """The result of a training step, on the host; a skipped step leaves the model as it was."""

    losses: Losses
    skipped: bool


class _Begun(NamedTuple):
    """A step whose result nobody has read: whether it was skipped, on the device, and its numbers on their way."""

    skipped: Tensor
    numbers: Tensor
    arrived: torch.cuda.Event | None


class TrainingStep:
    """The model's loss function, optimiser and schedule, and the average of its weights if one is kept."""

    def __init__(
        self,
        model: Model,
        config: LearnerConfig,
        *,
        ranks: Ranks | OneRank | None = None,
        average: AverageWeights | None = None,
        note: Callable[[str], None] = lambda line: None,
        ended: Callable[[Stage], None] = lambda stage: None,
    ) -> None:
        self._model, self._config, self._note, self._ended = model, config, note, ended
        self._ranks, self._average = ranks or OneRank(), average
        self._own_loss: nn.Module = LossFunction(model, config)
        self._loss: nn.Module = self._ranks.spread(self._own_loss)
        self._is_compiled = False
        self._buffers = SavedBuffers(model)
        self._begun: deque[_Begun] = deque()
        self.optimizer = Optimizer(model, config)
        # On a CPU the host has the answer as soon as it asks.
        self._device_skips = self.optimizer.parameters[0].is_cuda
        # Steps whose result is known to have changed the weights.
        self.learner_steps = 0
        # If this is False on one rank, every rank skips its steps until the state is restored.
        self.is_sound = True

    def __call__(self, batch: Batch) -> StepResult:
        """Trains on one batch and waits for its result; a non-finite loss or gradient on any rank skips the update."""
        self.begin(batch)
        while len(self._begun) > 1:
            self.finish()
        return self.finish()

    def begin(self, batch: Batch) -> None:
        """Begins to train on one batch: on a GPU, `finish` waits for it; at most two steps may wait for `finish`."""
        assert len(self._begun) < _MAX_BEGUN
        with flushed_denormals():
            self._begun.append(self._train(batch))

    def would_take(self, batch: Batch) -> bool:
        """Whether a step on this batch would be finite on this rank; waits for the answer, and changes no state."""
        device = self.optimizer.parameters[0].device
        loss = self._loss if isinstance(self._ranks, OneRank) else self._own_loss  # no other rank takes part
        self._model.train()
        self._buffers.save()
        self.optimizer.clear_gradients()  # so that no two sets of gradients take memory
        with flushed_denormals(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            total = loss(batch).total
            gradients = torch.autograd.grad(total, self.optimizer.parameters, allow_unused=True)
        self._buffers.restore()
        norm = torch.stack([each.norm() for each in gradients if each is not None]).norm()
        return bool(torch.isfinite(norm) & torch.isfinite(total))

    def is_done(self) -> bool:
        """Whether `finish` would not wait."""
        arrived = self._begun[0].arrived
        return arrived is None or arrived.query()

    def finish(self) -> StepResult:
        """The result of the oldest step that has begun."""
        begun = self._begun.popleft()
        if begun.arrived is not None:
            begun.arrived.synchronize()
        result = _unpacked(begun.numbers)
        if not result.skipped:
            self.learner_steps += 1
            self._ended(Stage.OPTIMIZER)
        return result

    def _train(self, batch: Batch) -> _Begun:
        self._model.train()
        self._compile_once(batch)
        self._buffers.save()
        self._model.take_mean(batch.observation, self._by_steps(mean_image_weight))
        losses: Losses = self._loss(batch)
        self._ended(Stage.FORWARD)
        self.optimizer.clear_gradients()
        losses.total.backward()
        skipped = self._skipped(losses)
        self._ended(Stage.BACKWARD)
        self._update(skipped)
        return _sent(skipped, losses)

    def _skipped(self, losses: Losses) -> Tensor:
        """Clips the gradient; returns whether it, the loss or the trained state is unsound on any rank."""
        limit = self._config.max_grad_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), limit)
        finite: Tensor = torch.isfinite(norm) & torch.isfinite(losses.total.detach())
        return ~self._ranks.all(finite & self.is_sound)

    def _update(self, skipped: Tensor) -> None:
        """Changes the weights, or makes the model what it was: its new statistics are as bad as its gradient."""
        rate = self._by_steps(partial(learning_rate, self._config))
        if self._device_skips:
            flag = skipped.float()
            self._buffers.restore_if(skipped)
            self.optimizer.step(rate, flag)
            self._update_average(flag)
        elif skipped:
            self._buffers.restore()
        else:
            self.optimizer.step(rate)
            self._update_average(None)

    def _update_average(self, skipped: Tensor | None) -> None:
        if self._average is not None:
            self._average.update(skipped)

    def _by_steps(self, function: Callable[[int], float]) -> float | Tensor:
        """The function of how many steps were taken before this one; on the device if only the device knows."""
        known = function(self.learner_steps)
        if not self._begun:
            return known
        if_taken = function(self.learner_steps + 1)
        return known if known == if_taken else torch.where(self._begun[-1].skipped, known, if_taken)

    def _compile_once(self, batch: Batch) -> None:
        if self._is_compiled or not (self._config.compile or self._config.cuda_graphs):
            return
        self._is_compiled = True
        self._buffers.save()
        self._loss = compiled(self._loss, batch, cuda_graphs=self._config.cuda_graphs, note=self._note)
        self._buffers.restore()
        self.optimizer.clear_gradients()


def _sent(skipped: Tensor, losses: Losses) -> _Begun:
    """All numbers of the step in one tensor: on a CPU it is there, from a GPU it is on its way to pinned memory."""
    *scalars, value_error_B = (each.detach().float() for each in losses)
    numbers = torch.cat([torch.stack([skipped.float(), *scalars]), value_error_B])
    if not numbers.is_cuda:
        return _Begun(skipped, numbers, None)
    arriving = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(numbers.device))
    return _Begun(skipped, arriving, arrived)


def _unpacked(numbers: Tensor) -> StepResult:
    num_scalars = len(Losses._fields)  # the last field is no scalar, and `skipped` comes before the first
    skipped, *scalars = numbers[:num_scalars]
    return StepResult(Losses._make([*scalars, numbers[num_scalars:]]), skipped=bool(skipped))
