"""The numbers that a training step takes from the host beside its batch, and those that it gives back.

What a step takes depends on how many steps were taken before it. On a GPU the host may not know that, because the last
step's result is still on its way: it then gives the numbers for both cases, and the device chooses.

    host    [ if the last step was skipped: rate, mean image's weight, sound | if it was taken: the same ]
                | one copy, nobody waits
    device  where(last step skipped, ..)  ->  the step  ->  [ skipped, losses, value_error_B ]
                                                                | one copy, nobody waits
    host                                                    finish
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..config import LearnerConfig
from ..nets import mean_image_weight
from .loss import Losses
from .optimizer import learning_rate


class Given(NamedTuple):
    """What a step takes: numbers of the host, or of the device where only that knows them."""

    rate: float | Tensor
    mean_weight: float | Tensor
    # If it is 0 on one rank, every rank skips the step.
    is_sound: float | Tensor


class StepNumbers:
    """Gives each step its numbers; on a GPU always in the same memory, where a captured step reads them."""

    def __init__(self, config: LearnerConfig, device: torch.device) -> None:
        self._config, self._is_gpu = config, device.type == "cuda"
        self._on_host: Given | None = None
        self._if_skipped_or_taken = torch.zeros(2, len(Given._fields), device=device)
        self._last_skipped = torch.zeros((), dtype=torch.bool, device=device)

    def give(self, learner_steps: int, *, is_one_unknown: bool, is_sound: bool, keeps_mean: bool) -> None:
        """The next step follows this many that were taken, and then one of which nobody knows if `is_one_unknown`."""
        if_skipped = self._after(learner_steps, is_sound, keeps_mean)
        self._on_host = None if self._is_gpu or is_one_unknown else if_skipped
        if self._on_host is None:
            if_taken = self._after(learner_steps + is_one_unknown, is_sound, keeps_mean)
            both = torch.tensor([if_skipped, if_taken], pin_memory=self._is_gpu)
            self._if_skipped_or_taken.copy_(both, non_blocking=True)

    def given(self) -> Given:
        """The numbers of the step that runs."""
        if self._on_host is not None:
            return self._on_host
        if_skipped, if_taken = self._if_skipped_or_taken
        return Given._make(torch.where(self._last_skipped, if_skipped, if_taken).unbind())

    def ends(self, skipped: Tensor) -> None:
        """Keeps for the next step whether this one was skipped."""
        self._last_skipped.copy_(skipped)

    def _after(self, learner_steps: int, is_sound: bool, keeps_mean: bool) -> Given:
        mean_weight = 0.0 if keeps_mean else mean_image_weight(learner_steps)
        return Given(learning_rate(self._config, learner_steps), mean_weight, float(is_sound))


class StepResult(NamedTuple):
    """The result of a training step, on the host; a skipped step leaves the model as it was."""

    losses: Losses
    skipped: bool


class Sent(NamedTuple):
    """The numbers of a step whose result nobody has read, on their way to the host."""

    numbers: Tensor
    arrived: torch.cuda.Event | None

    def is_there(self) -> bool:
        """Whether `result` would not wait."""
        return self.arrived is None or self.arrived.query()

    def result(self) -> StepResult:
        """The result of the step; waits for it."""
        if self.arrived is not None:
            self.arrived.synchronize()
        num_scalars = len(Losses._fields)  # the last field is no scalar, and `skipped` comes before the first
        skipped, *scalars = self.numbers[:num_scalars]
        return StepResult(Losses._make([*scalars, self.numbers[num_scalars:]]), skipped=bool(skipped))


def packed(skipped: Tensor, losses: Losses) -> Tensor:
    """All numbers of the result in one tensor."""
    *scalars, value_error_B = (each.detach().float() for each in losses)
    return torch.cat([torch.stack([skipped.float(), *scalars]), value_error_B])


def sent(numbers: Tensor) -> Sent:
    """On a CPU the numbers are there; from a GPU they are on their way to pinned memory."""
    if not numbers.is_cuda:
        return Sent(numbers, None)
    arriving = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(numbers.device))
    return Sent(arriving, arrived)
