"""Batches on their way through a device: static buffers, and one captured graph per program on a GPU.

    host, pinned    request = [ source : 8 R | target : 8 R | action : 4 R bytes ]        answer_RC
                        | one copy                                                            ^ one copy
    device          request  ->  gather, network, store (a program)  ------------------>  answer

Everything an engine does on a GPU is queued on one stream, which orders it: a batch after the weights that were loaded
before it, and the next batch after this one, so that both may use the same static buffers on the device. The host
reads answers and refills a request only after the flight's second event, which is recorded behind the copy of the
answers; the first one lies before the batch, so the two tell how long the device took.

Shape legend    R rows of the largest batch   C = 2 + A columns
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..capture import captured, reason_of
from ..timed import TimedWork

Program = Callable[[], object]

_ROW_BYTES, _SOURCE_BYTES, _PLACES_BYTES = 20, 8, 16
# Runs before a capture: the first one loads kernels and lets cuDNN choose, which a capture refuses.
_WARM_UPS = 2


def buckets(max_rows: int) -> list[int]:
    """The sizes for which there are programs: powers of two, and the largest batch."""
    return [1 << power for power in range((max_rows - 1).bit_length())] + [max_rows]


class Runway:
    """The device as an engine uses it: one stream, and the memory that its graphs share."""

    def __init__(self, device: torch.device, note: Callable[[str], None] = lambda line: None) -> None:
        self.device, self._note = device, note
        self.is_gpu = self._captures = device.type == "cuda"
        self.stream = torch.cuda.Stream(device) if self.is_gpu else None
        self._graph_memory: Any = None

    def queued(self) -> AbstractContextManager[object]:
        """A context in which work goes to the engine's stream."""
        return torch.cuda.stream(self.stream) if self.is_gpu else nullcontext()

    def timed(self) -> TimedWork | None:
        """For one batch at a time; None on a CPU, where work ends before its call returns."""
        return TimedWork(self.device) if self.is_gpu else None

    def host_tensor(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Zeros in the host's memory, from and to which the device copies while the host goes on."""
        return torch.zeros(*shape, dtype=dtype, pin_memory=self.is_gpu)

    def device_twin(self, host: Tensor) -> Tensor:
        """A buffer like this one on the device; on a CPU the same."""
        return torch.zeros_like(host, device=self.device) if self.is_gpu else host

    def program(self, run: Program) -> Program:
        """What does `run` again with one launch, or `run` itself where nothing can be captured.

        It runs `run` a few times, so `run` must leave the same behind when it is repeated.
        Raises torch.cuda.OutOfMemoryError if there is no room for the graph.
        """
        if not self._captures:
            return run
        try:
            return self._captured(run)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._captures = False
            self._note(
                f"inference on {self.device} goes on without CUDA graphs, at a launch per operation, "
                f"because a capture failed: {reason_of(error)}"
            )
            return run

    def _captured(self, run: Program) -> Program:
        with self.queued():
            for _ in range(_WARM_UPS):
                run()
            torch.cuda.current_stream(self.device).synchronize()  # the caller may now refill what they have read
            self._graph_memory = self._graph_memory or torch.cuda.graph_pool_handle()
            return captured(run, self._graph_memory)[0]


class TorchFlight:
    """See `Flight`."""

    def __init__(self, runway: Runway, max_batch: int, num_columns: int, scratch_row: int) -> None:
        self._buckets, self._scratch_row = buckets(max_batch), scratch_row
        self._request = runway.host_tensor(_ROW_BYTES * max_batch, dtype=torch.uint8)
        self._request_on_device = runway.device_twin(self._request)
        source_R, target_R, action_R = _parts(self._request, max_batch)
        self.source_R, self.target_R, self.action_R = source_R.numpy(), target_R.numpy(), action_R.numpy()
        self._rows_on_device = _parts(self._request_on_device, max_batch)
        self._answer = runway.host_tensor(max_batch, num_columns, dtype=torch.float32)
        self.answer_RC = self._answer.numpy()
        self._work = runway.timed()

    def clear(self) -> None:
        """Makes all rows name the scratch row, so that a program that is tried changes nothing else."""
        self._scratch(0, len(self.source_R))

    def fill_up(self, num_rows: int) -> int:
        """The size of the program for this many rows; those beyond them name the scratch row."""
        size = self._buckets[(num_rows - 1).bit_length()]
        if num_rows < size:
            self._scratch(num_rows, size)
        return size

    def _scratch(self, begin: int, end: int) -> None:
        self.source_R[begin:end] = self.target_R[begin:end] = self._scratch_row
        self.action_R[begin:end] = 0

    def take_request(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Part of a program: source, target and action on the device."""
        if self._request_on_device is not self._request:
            self._request_on_device.copy_(self._request, non_blocking=True)
        source_R, target_R, action_R = self._rows_on_device
        return source_R[:size], target_R[:size], action_R[:size]

    def give_answer(self, answer_RC: Tensor) -> None:
        """Part of a program: the answers to the host."""
        self._answer[: len(answer_RC)].copy_(answer_RC, non_blocking=True)

    def leaves(self) -> None:
        """Says that the batch is queued from here on; called on the engine's stream."""
        if self._work is not None:
            self._work.begin()

    def left(self) -> None:
        """Says that the batch is queued; called on the engine's stream."""
        if self._work is not None:
            self._work.end()

    def landed(self) -> bool:
        """Whether the batch's answers are in the host's memory."""
        return self._work is None or self._work.is_over()

    def device_seconds(self) -> float:
        """See `Flight`."""
        return 0.0 if self._work is None else self._work.seconds()

    def answers(self, num_rows: int) -> np.ndarray:
        """The batch's answers; waits for them."""
        if self._work is not None:
            self._work.wait()
        return self.answer_RC[:num_rows]


def _parts(request: Tensor, max_batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source and target (int64) and action (int32) of a request."""
    source_end, target_end = _SOURCE_BYTES * max_batch, _PLACES_BYTES * max_batch
    return (
        request[:source_end].view(torch.int64),
        request[source_end:target_end].view(torch.int64),
        request[target_end:].view(torch.int32),
    )
