"""The batch statistics of the network that plays, measured with the weights of now.

A training step normalises with the statistics of its own batch, the network that
plays with kept ones. The running averages that torch keeps are some ten steps old,
and weights move so much in ten steps that on images, which are almost constant, the
network that plays then is another than the one that is trained (decision 0027).
Statistics are therefore measured anew whenever the network is published, saved or
diagnosed: the plain mean over the last few batches, unrolled as the loss does.
"""

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..ipc.diagnostics import TRAINING_PARTS
from ..nets import Model
from .chance import find_codes
from .loss import Batch, unroll

# A pass over each costs about a third of a training step: at a publication every 50 steps, 3 % of the learner's time.
_KEPT_BATCHES = 4


class _Inputs(NamedTuple):
    """Copies of a batch's inputs: the ring takes the batch back. With chance they are the whole batch."""

    observation: Tensor
    action_BK: Tensor
    batch: Batch | None = None


class PlayedStatistics:
    """Measures the batch statistics of `model`, the network that plays, from the batches of the last steps."""

    def __init__(self, model: Model) -> None:
        self._model, self._kept = model, deque[_Inputs](maxlen=_KEPT_BATCHES)
        only_training = [getattr(model, part) for part in TRAINING_PARTS]
        heads = {module for each in only_training if each is not None for module in each.modules()}
        self._norms = [each for each in model.modules() if isinstance(each, _BatchNorm) and each not in heads]
        self._is_fresh = True

    def keep(self, batch: Batch) -> None:
        """Keeps the inputs of the batch of a step that changed the weights."""
        self._is_fresh = not self._norms
        if not self._norms:
            return
        if self._model.encoder is None:
            self._kept.append(_Inputs(batch.observation.clone(), batch.model_action_BK.clone()))
        else:
            whole: Batch = Batch._make(None if part is None else part.clone() for part in batch)
            self._kept.append(_Inputs(whole.observation, whole.model_action_BK, whole))

    @torch.no_grad()
    def measure(self) -> None:
        """Measures them, unless the weights are those of the last measurement."""
        if self._is_fresh:
            return
        momenta = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None  # statistics are then plain means over all passes since the reset
        self._model.train()
        for inputs in self._kept:
            codes = None if inputs.batch is None else find_codes(self._model, inputs.batch)
            unroll(self._model, inputs.observation, inputs.action_BK, codes=codes)
        for norm, momentum in zip(self._norms, momenta, strict=True):
            norm.momentum = momentum
        self._is_fresh = True


class _Group:
    """Buffers of one type, with room for their values before a step and after it, each as one flat tensor."""

    def __init__(self, buffers: list[Tensor]) -> None:
        self.buffers, sizes = buffers, [buffer.numel() for buffer in buffers]
        self.before, self.after = buffers[0].new_empty(2, sum(sizes)).unbind()
        self.before_views, self.after_views = (
            [part.view(buffer.shape) for part, buffer in zip(flat.split(sizes), buffers, strict=True)]
            for flat in (self.before, self.after)
        )


class SavedBuffers:
    """Copies of a model's buffers, batch statistics among them, as they were when this was made or last saved."""

    def __init__(self, model: Model) -> None:
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in model.buffers():
            by_type.setdefault(buffer.dtype, []).append(buffer)
        self._groups = [_Group(buffers) for buffers in by_type.values()]
        self.save()

    @torch.no_grad()
    def save(self) -> None:
        """Copies the buffers as they are now."""
        for group in self._groups:
            torch._foreach_copy_(group.before_views, group.buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """Gives the buffers the saved values again."""
        for group in self._groups:
            torch._foreach_copy_(group.buffers, group.before_views)

    @torch.no_grad()
    def restore_if(self, skipped: Tensor) -> None:
        """The same where `skipped` is set, without asking the device whether it is."""
        for group in self._groups:
            torch._foreach_copy_(group.after_views, group.buffers)
            torch.where(skipped, group.before, group.after, out=group.after)
            torch._foreach_copy_(group.buffers, group.after_views)
