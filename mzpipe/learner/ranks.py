"""Ranks: lets the learner's processes train as one, through torch.distributed.

    rank 0            ticket n  ->  step n  ->  ...           publishes, saves
    ranks 1 .. R - 1  wait for ticket n, then step n          only train

The mean of the gradient is taken inside the backward pass, where every rank waits
for the others. A step begins with a ticket, so that no rank waits for one that
has stopped: rank 0 writes the step's number into a counter, and every rank that
reads a new number trains on that step, even if it was told to stop before.
"""

import contextlib
import ctypes
import gc
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The ranks of a run are processes of one machine: their traffic never leaves it.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
# From asm-generic/socket.h and linux/filter.h: the option, and a filter of one instruction, which keeps 0 bytes.
_SO_ATTACH_FILTER, _KEEP_NOTHING = 26, struct.pack("HBBI", 6, 0, 0, 0)


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
        former = _listeners()
        dist.init_process_group(backend, store=store, rank=index, world_size=size, device_id=device_id)
        if backend == "gloo":  # NCCL may connect later
            _turn_away(_listeners() - former)

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


def _listeners() -> set[int]:
    """The descriptors on which this process listens for TCP connections."""
    return {each.fd for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN}


def _turn_away(listeners: set[int]) -> None:
    """Drops whatever comes to the listeners: gloo keeps them, but all ranks are connected, and nobody else has to be.

    Connections that exist go on. A kernel that refuses leaves the listeners as gloo makes them.
    """
    instruction = ctypes.create_string_buffer(_KEEP_NOTHING, len(_KEEP_NOTHING))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    for descriptor in listeners:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
