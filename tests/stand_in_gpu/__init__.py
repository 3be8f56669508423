"""A stand-in GPU: a torch without CUDA shows `cuda:0`, whose memory is the host's and whose kernels are the CPU's.

Once a process has CUDA's kernels everything in it changes, so a test that is marked runs in a process of its own,
with the other marked tests of its module. Without a compiler it is skipped.

    @pytest.mark.on_gpu                        # or on_gpu(gpus=2, num_bytes=10_000_000, bfloat16=False)
    def test_squares():
        with counted() as seen:
            assert (torch.arange(3, device="cuda:0") ** 2).tolist() == [0, 1, 4]
        assert seen.syncs == 1

A whole command sees the stand-in, in all its processes, in the environment that `stand_in_environment` returns.

What it shows, beside right numbers:

- Late copies. A copy to the device from pinned memory (registered, or `pin_memory=True`) with `non_blocking=True` has
  happened only for a kernel that comes after it, one to pinned memory only when the host has waited for it, or an event
  has answered so. Until then the target is NaN (-1 as an integer), and so is memory that was never written.
- Hazards, as errors at the next use or wait: work of a stream on memory that another stream writes (or reads, if it
  writes) without a wait for its event; host memory that is overwritten before the host knows that a copy has read it;
  memory that is freed while another stream may use it, without record_stream.
- `event.query()` says no once after each recording (`torch.ops.stand_in_gpu.set_patience(n)`: n times).
- Times between events that were asked for them, as on the host; after `torch.ops.stand_in_gpu.set_pace(250)` a kernel
  takes 250 us, and those of a graph as well.
- Registration: 712 for memory that is registered, 713 for memory that is not, both latched: the next launch raises.
  `torch.ops.stand_in_gpu.refuse_registration(801)`: a driver that registers nothing.
- A limit of memory (`torch.OutOfMemoryError`), several devices, a card without bfloat16.
- Counts of launches, copies and waits: see `Counts`.
- Graphs: torch.cuda.CUDAGraph, torch.cuda.graph, graph_pool_handle, make_graphed_callables. As on a GPU a capture
  computes nothing: memory from outside stays as it was, memory from inside is NaN until the first replay. A capture
  refuses `.item()`, `synchronize`, `query`, copies that block, copies of pageable memory and events from outside, and
  then cannot end well. A replay counts as one launch (`graph.num_nodes` tells the kernels in it). It refuses memory
  from outside whose tensor is gone, and to run beside another graph of its pool on another stream.

What it cannot show: speed, cuDNN, TF32, triton, NCCL, reuse of memory inside a graph's pool. While it captures, kernels
run once with the values that are there, so indices must be valid ones; afterwards this is undone. A `_foreach_` call
counts as one launch; on a GPU it is one for every few dozen tensors.
"""

from .build import compiler
from .counting import Counts, counted, read_report
from .environment import stand_in_environment

__all__ = ["Counts", "compiler", "counted", "read_report", "stand_in_environment"]
