"""Actors and reanalyzers on other machines: how many pods there are, what each holds, and where they find the run."""

import re
from typing import Annotated

from .base import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, section

MAX_PODS = 256
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65_535


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[IPv6]:port`; raises ValueError."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > _LAST_PORT:
        raise ValueError(f"{address[:80]!r} is no address: host:port, as in 192.168.1.5:7000")
    return match["host"], int(match["port"])


def _checked_address(address: str) -> str:
    split_address(address)
    return address


@section(frozen=True)
class ClusterConfig:
    """Pods: an inference server with actors and reanalyzers, on another machine (docs/more-machines.md)."""

    pods: Annotated[int, Field(ge=0, le=MAX_PODS)] = 0
    """Pods that may join the run, each started with `mzpipe pod`; 0: none, and no port is opened."""

    actors: Annotated[PositiveInt, Field(le=1024)] = 1
    """Actors of each pod, with the lanes and trees of [topology]."""

    reanalyzers: Annotated[NonNegativeInt, Field(le=1024)] = 1
    """Reanalyzers of each pod; they run only where reanalyze.fraction is above 0."""

    devices: tuple[int | str, ...] = ("auto",)
    """Devices of a pod's inference servers, as inference.devices has them for this machine's."""

    listen: Annotated[str, AfterValidator(_checked_address)] = "127.0.0.1:0"
    """Address at which pods reach this machine, host:port; port 0: a free one. Only pods with a key of the run get an
    answer."""

    link_mbit: NonNegativeFloat = 0.0
    """Megabits a second that the network carries between this machine and all pods, each way; `plan --ray` refuses what
    it cannot carry. 0: not known."""

    cpus: NonNegativeFloat = 0.0
    """With --ray: processors that Ray reserves for a pod; 0: one for each of its actors, reanalyzers and servers."""

    gpus: NonNegativeFloat = 0.0
    """With --ray: GPUs that Ray reserves for a pod. It sees these and no others, so with 0 it computes on the CPU."""

    memory_bytes: NonNegativeInt = 0
    """With --ray: memory that Ray reserves for a pod; 0: what the plan says that it needs."""
