"""Ranks: lets the learner's processes train as one, through torch.distributed.

    rank 0            ticket n  ->  step n  ->  ...           publishes, saves
    ranks 1 .. R - 1  wait for ticket n, then step n          only train

The mean of the gradient is taken inside the backward pass, where every rank waits
for the others. A step begins with a ticket, so that no rank waits for one that
has stopped: rank 0 writes the step's number into a counter, and every rank that
reads a new number trains on that step, even if it was told to stop before.
"""

import gc
import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The ranks of a run are processes of one machine: their traffic never leaves it.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


def backend_of(devices: Sequence[int | str]) -> str:
    """How ranks on these devices exchange tensors: NCCL takes each GPU once, gloo goes through the host."""
    on_gpus = "cpu" not in devices
    return "nccl" if on_gpus and len(set(devices)) == len(devices) else "gloo"


class OneRank:
    """A learner with only one rank."""

    def spread(self, loss: nn.Module) -> nn.Module:
        """The module whose backward pass leaves the gradient of all ranks."""
        return loss

    def all(self, flag: Tensor) -> Tensor:
        """Whether the flag is set on every rank; the answer stays on the flag's device."""
        return flag

    def latest(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        return number

    def close(self) -> None:
        """Leaves the group."""


class Ranks:
    """This process's place among R ranks; the constructor waits for all of them."""

    def __init__(
        self, directory: Path, *, index: int, size: int, epoch: int, device: torch.device, backend: str = "gloo"
    ) -> None:
        os.environ.update(_LOOPBACK)
        self._device = device
        store = dist.FileStore(str(directory / f"ranks-{epoch}"), size)
        device_id = device if backend == "nccl" else None  # without it NCCL takes the current device, and says so
        dist.init_process_group(backend, store=store, rank=index, world_size=size, device_id=device_id)

    def spread(self, loss: nn.Module) -> nn.Module:
        """See OneRank; every rank takes rank 0's weights."""
        return DistributedDataParallel(loss)

    def all(self, flag: Tensor) -> Tensor:
        """See OneRank."""
        number = flag.to(torch.int32)
        dist.all_reduce(number, dist.ReduceOp.MIN)
        return number.bool()

    def latest(self, number: int) -> int:
        """See OneRank."""
        tensor = torch.tensor(number, device=self._device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def close(self) -> None:
        """See OneRank; the caller must have dropped the module that `spread` returned.

        The group's threads live as long as that module, and a process with such threads sometimes aborts at its end.
        """
        gc.collect()
        dist.destroy_process_group()
