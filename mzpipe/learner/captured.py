"""The whole training step as one CUDA graph, where `learner.cuda_graphs` asks for it.

    batch of the feed  -- copies on the device -->  fixed batch  -- one launch -->  the step's numbers, on the device

Forward and backward pass, clipping, finite check, the skip of a bad step, optimiser, averages and draws are all inside.
The graph has the addresses of what it reads and writes, so all of that stays where it is: a checkpoint is restored in
place, and what changes from step to step lies in `numbers`. There is one graph and one fixed batch, not one for each
buffer of the feed: copying a batch on the device takes it less than a hundredth of a step, and a second graph would
keep gradients of its own.

The first steps run operation by operation, as without graphs: they load kernels, let cuDNN choose, and make the
optimiser's state. A capture then computes nothing, so the next step after one that fails is a step like any other.
"""

import gc
from collections.abc import Callable

import torch
from torch import Tensor

from ..ipc.schema import Unrolls
from ..ipc.stages import Stage
from ..nets.capture import captured, reason_of
from .loss import Batch

_FIRST_STEPS = 2


class CapturedStep:
    """Trains as `train` does; from the third step on, all of it is one launch, unless its capture fails."""

    def __init__(self, *, note: Callable[[str], None], ended: Callable[[Stage], None]) -> None:
        self._note, self._ended = note, ended
        self._before_capture = _FIRST_STEPS
        self._replay: _Replay | None = None

    def __call__(self, train: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """What `train` returns for this batch; the next step overwrites it."""
        if self._before_capture == 0:
            self._replay = self._captured(train, batch)
        self._before_capture -= 1
        if self._replay is None:
            return train(batch)
        self._replay.take(batch)
        self._ended(Stage.FORWARD)
        numbers = self._replay.run()
        self._ended(Stage.BACKWARD)
        return numbers

    def _captured(self, train: Callable[[Batch], Tensor], batch: Batch) -> "_Replay | None":
        try:
            return _Replay(train, batch)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._note(
                f"learner.cuda_graphs=true: a step cannot be captured: {reason_of(error)}: it continues without graphs"
            )
            return None


class _Replay:
    """The graph of a step, and the batch that it reads."""

    def __init__(self, train: Callable[[Batch], Tensor], batch: Batch) -> None:
        self._batch: Batch = Unrolls._make(None if part is None else part.clone() for part in batch)
        self._fixed = _by_type(self._batch)
        device = batch.weight_B.device
        _free_memory(device)
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            self._launch, self._numbers = captured(lambda: train(self._batch), torch.cuda.graph_pool_handle())

    def take(self, batch: Batch) -> None:
        """Copies a batch into the fixed one."""
        for fixed, parts in zip(self._fixed, _by_type(batch), strict=True):
            torch._foreach_copy_(fixed, parts)

    def run(self) -> Tensor:
        """Launches the step; returns its numbers, on the device until the next launch."""
        self._launch()
        return self._numbers


def _by_type(batch: Batch) -> list[list[Tensor]]:
    """The batch's tensors, in lists of one type: torch copies each list at once."""
    found: dict[torch.dtype, list[Tensor]] = {}
    for part in batch:
        if part is not None:
            found.setdefault(part.dtype, []).append(part)
    return list(found.values())


def _free_memory(device: torch.device) -> None:
    """Gives the memory of the first steps back to the device: a graph has memory of its own."""
    gc.collect()
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
