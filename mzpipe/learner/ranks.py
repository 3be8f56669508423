"""Ranks: the learner's processes as one, through torch.distributed.

    rank 0            ticket n  ->  step n  ->  ...           publishes, saves
    ranks 1 .. R - 1  wait for ticket n, then step n          only train

A gradient's mean is taken inside the backward pass, where every rank waits for
the others. So that nobody waits for a rank that has stopped, a step begins with
a ticket: rank 0 writes its number into a counter, and whoever reads a number that
it has not trained on yet will, even when it has been told to stop meanwhile.
"""

import gc
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The ranks of a run are processes of one machine: what they tell one another never leaves it.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


class OneRank:
    """A learner that is alone."""

    def spread(self, loss: nn.Module) -> nn.Module:
        """The module whose backward pass leaves the gradient of all ranks."""
        return loss

    def all(self, flag: Tensor) -> bool:
        """Whether the flag is set on every rank."""
        return bool(flag)

    def latest(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        return number

    def close(self) -> None:
        """Leaves the group."""


class Ranks:
    """This process's place among R ranks; the constructor waits for all of them."""

    def __init__(self, directory: Path, *, index: int, size: int, epoch: int, device: torch.device) -> None:
        os.environ.update(_LOOPBACK)
        self._device = device
        store = dist.FileStore(str(directory / f"ranks-{epoch}"), size)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=index, world_size=size)

    def spread(self, loss: nn.Module) -> nn.Module:
        """See OneRank; rank 0's weights become everybody's."""
        return DistributedDataParallel(loss)

    def all(self, flag: Tensor) -> bool:
        """See OneRank."""
        number = flag.to(torch.int32)
        dist.all_reduce(number, dist.ReduceOp.MIN)
        return bool(number)

    def latest(self, number: int) -> int:
        """See OneRank."""
        tensor = torch.tensor(number, device=self._device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def close(self) -> None:
        """See OneRank; what `spread` has returned must have been let go.

        While it lives the group's threads do, and now and then such a process aborts at its end instead of leaving.
        """
        gc.collect()
        dist.destroy_process_group()
