"""One training step: forward, backward, finite check, update.

A step is the same on one rank or many. The gradient is the mean over the ranks, so
R ranks with B / R unrolls each take the same step as one rank with B, except for
batch statistics. Either all ranks skip a step or none does.

On a GPU nobody waits for a step inside it. The device itself skips a step that is not
finite, and the step's numbers travel to the host in one copy, which `finish` reads
when the next step has begun (see `numbers`). The whole step can then be one graph
(see `captured`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..config import LearnerConfig
from ..games import Symmetry
from ..ipc.stages import Stage
from ..nets import Model
from .average import AverageWeights
from .captured import CapturedStep
from .loss import Batch, Losses, LossFunction, compiled
from .numbers import Sent, StepNumbers, StepResult, packed, sent
from .optimizer import Optimizer
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


class TrainingStep:
    """The model's loss function, optimiser and schedule, and the average of its weights if one is kept."""

    def __init__(
        self,
        model: Model,
        config: LearnerConfig,
        *,
        ranks: Ranks | OneRank | None = None,
        average: AverageWeights | None = None,
        symmetries: Sequence[Symmetry] = (),
        note: Callable[[str], None] = lambda line: None,
        ended: Callable[[Stage], None] = lambda stage: None,
        discount: float = 1.0,
    ) -> None:
        self._model, self._config, self._note, self._ended = model, config, note, ended
        self._ranks, self._average = ranks or OneRank(), average
        self._own_loss: nn.Module = LossFunction(model, config, symmetries, discount)
        self._loss: nn.Module = self._ranks.spread(self._own_loss)
        self._is_compiled = False
        self._buffers = SavedBuffers(model)
        self._begun: deque[Sent] = deque()
        self.optimizer = Optimizer(model, config)
        device = self.optimizer.parameters[0].device
        # On a CPU the host has the answer as soon as it asks.
        self._device_skips = device.type == "cuda"
        self._numbers = StepNumbers(config, device)
        self._captured = self._captured_step(device)
        # Steps whose result is known to have changed the weights.
        self.learner_steps = 0
        # If this is False on one rank, every rank skips its steps until the state is restored.
        self.is_sound = True
        # Whether the model's mean image stays as it is; else the first batches make it.
        self.keeps_mean = False

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
            self._model.train()
            self._compile_once(batch)
            self._numbers.give(
                self.learner_steps,
                is_one_unknown=bool(self._begun),
                is_sound=self.is_sound,
                keeps_mean=self.keeps_mean,
            )
            numbers = self._captured(self._train, batch) if self._captured else self._train(batch)
            self._begun.append(sent(numbers))

    def would_take(self, batch: Batch) -> bool:
        """Whether a step on this batch would be finite on this rank; waits for the answer, and changes no state."""
        device = self.optimizer.parameters[0].device
        loss = self._loss if isinstance(self._ranks, OneRank) else self._own_loss  # no other rank takes part
        self._model.train()
        self._buffers.save()
        with flushed_denormals(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            total = loss(batch).total
            trained = [each for each in self.optimizer.parameters if each.requires_grad]
            gradients = torch.autograd.grad(total, trained, allow_unused=True)
        self._buffers.restore()
        norm = torch.stack([each.norm() for each in gradients if each is not None]).norm()
        return bool(torch.isfinite(norm) & torch.isfinite(total))

    def is_done(self) -> bool:
        """Whether `finish` would not wait."""
        return self._begun[0].is_there()

    def finish(self) -> StepResult:
        """The result of the oldest step that has begun."""
        result = self._begun.popleft().result()
        if not result.skipped:
            self.learner_steps += 1
            self._ended(Stage.OPTIMIZER)
        return result

    def _train(self, batch: Batch) -> Tensor:
        """The whole step, up to its packed result; on a GPU no part of it waits, so it can be captured."""
        given = self._numbers.given()
        self._buffers.save()
        self._model.take_mean(batch.observation, given.mean_weight)
        losses: Losses = self._loss(batch)
        self._ended(Stage.FORWARD)
        self.optimizer.clear_gradients()
        losses.total.backward()
        skipped = self._skipped(losses, given.is_sound)
        self._ended(Stage.BACKWARD)
        self._update(skipped, given.rate)
        self._numbers.ends(skipped)
        return packed(skipped, losses)

    def _skipped(self, losses: Losses, is_sound: float | Tensor) -> Tensor:
        """Clips the gradient; returns whether it, the loss or the trained state is unsound on any rank."""
        limit = self._config.max_grad_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), limit)
        finite: Tensor = torch.isfinite(norm) & torch.isfinite(losses.total.detach())
        return ~self._ranks.all(finite & (is_sound > 0))

    def _update(self, skipped: Tensor, rate: float | Tensor) -> None:
        """Changes the weights, or makes the model what it was: its new statistics are as bad as its gradient."""
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

    def _captured_step(self, device: torch.device) -> CapturedStep | None:
        """Where the profile asks for one, and the step can be one."""
        if not self._config.cuda_graphs:
            return None
        if device.type == "cuda" and isinstance(self._ranks, OneRank):
            return CapturedStep(note=self._note, ended=self._ended)
        obstacle = f"the learner's device is {device}" if device.type != "cuda" else "its ranks meet inside each step"
        self._note(f"learner.cuda_graphs=true: {obstacle}: it continues without graphs")
        return None

    def _compile_once(self, batch: Batch) -> None:
        if self._is_compiled or not self._config.compile:
            return
        self._is_compiled = True
        self._buffers.save()
        self._loss = compiled(self._loss, batch, note=self._note)
        self._buffers.restore()
        self.optimizer.clear_gradients()
