"""`doctor --ray`: what every node of a Ray cluster is, seen from this machine."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ...cluster.identity import code_identity
from ...cluster.node import Facts, PodNode
from ...errors import MzpipeError
from ...format import latency, number, shown
from ...launch.bundles import connect, node_name, resources_text
from ...launch.places import actor_fault
from ...launch.plan import mebibytes
from .forecast import BYTES_PER_MBIT

# A worker that begins on a busy node; an answer of one that has.
_BEGIN_S, _ANSWER_S = 90.0, 20.0
_PROBE_BYTES, _PROBES = 4 << 20, 3
_LARGEST_OFFSET_S, _LEAST_SHARED_BYTES = 5.0, 100 << 20


class Link(NamedTuple):
    """A node's link and clock: a small call's time, bytes a second both ways together, and the clock's offset."""

    round_trip_s: float
    bytes_per_s: float
    # Of the node's wall clock against this machine's, give or take half of the round trip.
    offset_s: float


def node_checks(address: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """A check of the cluster, and one of each of its nodes; a check returns a line or raises MzpipeError."""
    found: list[Any] = []

    def check_cluster() -> str:
        found.append(connect(address))
        ray = found[0]
        nodes = [node for node in ray.nodes() if node["Alive"]]
        return f"{ray.__version__} at {ray.get_runtime_context().gcs_address}: {len(nodes)} nodes"

    yield "ray", check_cluster
    if found:
        for node in found[0].nodes():
            if node["Alive"]:
                yield node_name(node), partial(_check_node, found[0], node)
        found[0].shutdown()


def _check_node(ray: Any, node: dict[str, Any]) -> str:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    actor = ray.remote(PodNode).options(num_cpus=0, scheduling_strategy=here).remote()
    try:
        facts = ray.get(actor.facts.remote(), timeout=_BEGIN_S)
        link = _probe(ray, actor)
    except ray.exceptions.GetTimeoutError:
        raise MzpipeError(f"does not answer within {_BEGIN_S:.0f} s: see Ray's logs there") from None
    except ray.exceptions.RayActorError as error:
        raise MzpipeError(actor_fault(error)) from None
    except ray.exceptions.RayError as error:
        raise MzpipeError(shown(error)) from None
    finally:
        ray.kill(actor)
    wanted = {name: node["Resources"].get(name, 0.0) for name in ("CPU", "GPU", "memory")}
    return node_line(facts, link, resources_text(wanted), code_identity())


def _probe(ray: Any, actor: Any) -> Link:
    trips = [_round_trip(ray, actor) for _ in range(_PROBES)]
    trip_s, offset_s = min(trips)
    data = bytes(_PROBE_BYTES)
    times_s = []
    for _ in range(_PROBES):
        begin_s = time.monotonic()
        ray.get(actor.echo.remote(data), timeout=_ANSWER_S)
        times_s.append(time.monotonic() - begin_s)
    return Link(trip_s, 2 * _PROBE_BYTES / max(1e-9, min(times_s) - trip_s), offset_s)


def _round_trip(ray: Any, actor: Any) -> tuple[float, float]:
    """Seconds of a small call, and by how much the node's wall clock is ahead of the middle of it."""
    begin_s, wall_s = time.monotonic(), time.time()
    facts = ray.get(actor.facts.remote(), timeout=_ANSWER_S)
    trip_s = time.monotonic() - begin_s
    return trip_s, facts.time_s - (wall_s + trip_s / 2)


def node_line(facts: Facts, link: Link, resources: str, code: str) -> str:
    """What a node is, in one line; raises MzpipeError for what keeps a pod from it."""
    faults = []
    if facts.code != code:
        faults.append(f"has mzpipe {facts.code}, this machine {code}: install the same on both")
    if facts.shared_bytes < _LEAST_SHARED_BYTES:
        faults.append(f"has {mebibytes(facts.shared_bytes)} free in /dev/shm: a pod needs about 100 MiB: enlarge it")
    if abs(link.offset_s) > _LARGEST_OFFSET_S:
        way = "ahead of" if link.offset_s > 0 else "behind"
        faults.append(
            f"its clock is {number(abs(link.offset_s))} s {way} this machine's: set both by NTP, else logs do not fit"
        )
    if faults:
        raise MzpipeError("; ".join(faults))
    return (
        f"{resources}; mzpipe {facts.version}, the same sources; Python {facts.python}; "
        f"{mebibytes(facts.memory_bytes)} of memory, {mebibytes(facts.shared_bytes)} of /dev/shm free; clock "
        f"{link.offset_s:+.3f} s, {latency(1e6 * link.round_trip_s)} there and back, at least "
        f"{number(link.bytes_per_s / BYTES_PER_MBIT)} Mbit/s through Ray"
    )
