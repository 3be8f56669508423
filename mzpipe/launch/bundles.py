"""The resources of a run's pods on a Ray cluster: one placement group, a bundle for each pod, spread over the nodes."""

import logging
import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config.cluster import split_address
from ..errors import UsageError
from ..format import shown

# For resources that other programs have now.
_PLACE_S, _TURN_S = 60.0, 0.25
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_GIB, _NODES_SHOWN = 1 << 30, 8
_CONNECT_S = 5.0
# No report to Ray's makers; one attempt, of about 40 s, to reach a cluster that does not answer.
_RAY_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "1"}


@dataclass(frozen=True)
class Task:
    """What is to be placed. `resources` are a pod's, by Ray's names; `listen` is where the gateway will listen."""

    address: str
    pods: int
    resources: dict[str, float]
    listen: str


class Bundles:
    """The placement group of a task; `ray` is the module, connected."""

    def __init__(self, task: Task, ray: Any) -> None:
        self._task, self._ray = task, ray
        self.group: Any = None

    def reserve(self, is_over: Callable[[], bool]) -> None:
        """Reserves every pod's bundle; raises UsageError if the cluster cannot hold them."""
        from ray.util.placement_group import placement_group

        self._refuse_small()
        bundles = [dict(self._task.resources) for _ in range(self._task.pods)]
        self.group = placement_group(bundles, strategy="SPREAD")
        deadline_s = time.monotonic() + _PLACE_S
        while not self.group.wait(_TURN_S):
            if is_over():
                return
            if time.monotonic() >= deadline_s:
                raise UsageError(
                    f"--ray: {self._needs()} could not be reserved in {_PLACE_S:.0f} s: other programs have what the "
                    "cluster's nodes offer: wait for them, or lower cluster.pods, cluster.cpus or cluster.memory_bytes"
                )
        self._refuse_loopback()

    def _needs(self) -> str:
        return f"{self._task.pods} x {resources_text(self._task.resources)}"

    def _refuse_small(self) -> None:
        wanted = self._task.resources
        nodes = [(node_name(node), node["Resources"]) for node in self._ray.nodes() if node["Alive"]]
        # Ray names nodes in any order, which is none for a line that ends after the first few.
        nodes.sort(key=lambda node: (-bundles_in(node[1], wanted), node[0]))
        room = sum(bundles_in(resources, wanted) for _, resources in nodes)
        if room >= self._task.pods:
            return
        offers = (
            f"{name} has {resources_text({each: resources.get(each, 0.0) for each in wanted})}"
            for name, resources in nodes[:_NODES_SHOWN]
        )
        raise UsageError(
            f"--ray: the cluster holds {room} of {self._needs()}: {'; '.join(offers)}: add nodes, or lower "
            "cluster.pods, cluster.cpus or cluster.memory_bytes"
        )

    def _refuse_loopback(self) -> None:
        """Refuses a gateway that listens on the loopback alone where other machines belong to the cluster."""
        host, _ = split_address(self._task.listen)
        here = self._ray.util.get_node_ip_address()
        others = {node["NodeManagerAddress"] for node in self._ray.nodes() if node["Alive"]} - {here}
        if host in _LOOPBACK and others:
            raise UsageError(
                f"--ray: cluster.listen={self._task.listen!r} cannot be reached from {', '.join(sorted(others)[:3])}: "
                f"set cluster.listen='{here}:0'"
            )

    def release(self) -> None:
        """Gives the resources back."""
        from ray.util.placement_group import remove_placement_group

        if self.group is not None:
            remove_placement_group(self.group)


def bundles_in(has: Mapping[str, float], wants: Mapping[str, float]) -> int:
    """How many bundles fit into a node's resources."""
    counts = [math.floor(has.get(name, 0.0) / amount + 1e-9) for name, amount in wants.items() if amount > 0]
    return min(counts, default=1 << 20)


def resources_text(resources: Mapping[str, float]) -> str:
    """Resources in words: "9 cpus, 1 gpus, 1.5 GiB"."""
    words = {"CPU": "cpus", "GPU": "gpus"}
    return ", ".join(
        f"{amount / _GIB:.1f} GiB" if name == "memory" else f"{amount:g} {words.get(name, name)}"
        for name, amount in resources.items()
    )


def node_name(node: Mapping[str, Any]) -> str:
    """A node as people know it: its host's name and address."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def connect(address: str) -> Any:
    """Ray, as a client of the cluster at this address; raises UsageError if there is none."""
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    how = "start one with `ray start --head`, or give the address that this has told"
    try:
        if address != "auto":
            _touch(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError:  # a ConnectionError, for example
        raise UsageError(f"--ray {address}: no Ray cluster answers there: {how}") from None
    except (RuntimeError, ValueError) as error:  # another version of Ray or Python; no address
        raise UsageError(f"--ray {address}: {shown(error)}") from None
    return ray


def _touch(address: str) -> None:
    """Raises OSError if nothing listens at the address: Ray would try for minutes."""
    host, port = split_address(address)
    socket.create_connection((host.strip("[]"), port), _CONNECT_S).close()
