"""Captures: work on a GPU as a graph, which the host launches again as one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch

_Result = TypeVar("_Result")


def captured(run: Callable[[], _Result], memory: Any) -> tuple[Callable[[], None], _Result]:
    """What launches the work of `run` again, and the result of `run`, which each launch fills anew.

    Captures on the current stream, which must not be the default one; computes nothing. `memory` is a
    torch.cuda.graph_pool_handle, which graphs share that run one after the other. `run` must have run before: kernels
    are loaded and chosen then, which a capture refuses. Raises RuntimeError if something in `run` cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        graph.capture_begin(pool=memory, capture_error_mode="thread_local")
        with _ended(graph):
            result = run()
    except RuntimeError:
        _leave_capture(memory)
        raise
    return graph.replay, result


def _leave_capture(memory: Any) -> None:
    """Brings torch back to what it was before a capture that could not end.

    Its allocator would still be in the capture, and not free what two streams have used, such as batches; its
    generator would refuse to draw. Where torch has done this itself, or has no such functions, nothing happens.
    """
    device = torch.cuda.current_device()
    with suppress(RuntimeError, AttributeError):
        torch._C._cuda_endAllocateToPool(device, memory)
        torch._C._cuda_releasePool(device, memory)
    for generator in torch.cuda.default_generators[device : device + 1]:
        generator.graphsafe_set_state(generator.clone_state())  # the copy is of seed and offset, not of the capture


@contextmanager
def _ended(graph: "torch.cuda.CUDAGraph") -> Iterator[None]:
    """Ends the capture in either case; an error of the captured work is worth more than that of the end."""
    try:
        yield
    except BaseException:
        with suppress(RuntimeError):
            graph.capture_end()
        raise
    graph.capture_end()


def reason_of(error: BaseException) -> str:
    """The first line of an error of torch: the others say where in CUDA it arose."""
    return str(error).strip().partition("\n")[0]
