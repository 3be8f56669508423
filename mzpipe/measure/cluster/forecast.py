"""The arithmetic of pods: the rate of a run with them, what bounds it, and the bytes a second of every link.

Every bound is a number of env steps a second of the whole run; the lowest one is its rate. In a run that goes at rate r

    a part w of r is played by pods, and crosses their links               w r transition bytes    pod -> head
    a part f of the samples_per_insert s samples is searched again there   f s r position bytes    head -> pod
                                                                           f s r target bytes      pod -> head
    each of the P pods is sent every weights version that it has time for  P r s / (B I) weights   head -> pod

with B unrolls of a batch and I steps between publications. Weights yield to the rest: they bound no rate. A version
that is replaced before it has reached every pod is skipped by the others, and their weights are older.
"""

import bisect
import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

from ...config import Profile
from ...ipc.roles import Role
from ...ipc.shape import PlaneShape
from .cargo import Cargo
from .rates import Rates

BYTES_PER_MBIT = 125_000.0
MOST_PODS = 1 << 20


@dataclass(frozen=True)
class Cluster:
    """The numbers of processes on the head and on its pods, and what a run's rate depends on besides."""

    pods: int
    # Of one pod.
    actors: int
    servers: int = 1
    head_actors: int = 0
    head_servers: int = 1
    samples_per_insert: float = 1.0
    batch_size: int = 1
    publish_interval: int = 1
    # The part of the samples that pods search again.
    reanalyzed: float = 0.0
    # Bytes a second of every machine's link, each way; infinite if it is not known.
    link: float = math.inf

    @classmethod
    def of(cls, profile: Profile, shape: PlaneShape) -> "Cluster":
        """The cluster of a profile; `shape` is the head's."""
        cluster = profile.cluster
        theirs = cluster.pods * cluster.reanalyzers
        share = theirs / (theirs + profile.topology.reanalyzers) if theirs else 0.0
        return cls(
            pods=cluster.pods,
            actors=cluster.actors,
            servers=len(cluster.devices),
            head_actors=shape.actors,
            head_servers=shape.inference_servers,
            samples_per_insert=profile.replay.samples_per_insert,
            batch_size=profile.learner.batch_size,
            publish_interval=profile.learner.publish_interval,
            reanalyzed=share * profile.reanalyze.fraction,
            link=cluster.link_mbit * BYTES_PER_MBIT or math.inf,
        )


class Flow(NamedTuple):
    """Bytes a second of one machine's link."""

    sent: float
    received: float


class Forecast(NamedTuple):
    """What the run would do: its rate, what bounds it, and what its links carry."""

    env_steps_per_s: float
    # The name of the lowest of `bounds`.
    bound: str
    bounds: dict[str, float]
    pod: Flow
    head: Flow
    # Seconds between two weights versions, and until one has reached every pod.
    version_s: float
    fan_out_s: float


PLAYING, LINK_IN, LINK_OUT = "playing", "link into the head", "link out of the head"


def play_rate(cluster: Cluster, rates: Rates) -> tuple[float, float]:
    """Env steps a second that one pod plays when nothing holds it up, and that the head's own actors do."""
    pod = min(cluster.actors * rates.actor, cluster.servers * rates.inference)
    head = min(cluster.head_actors * rates.actor, cluster.head_servers * rates.inference)
    return pod, head


def forecast(cluster: Cluster, rates: Rates, cargo: Cargo) -> Forecast:
    """The run's rate and bytes. Where links bound it the head's actors play all they can, else all in proportion."""
    pod_rate, head_rate = play_rate(cluster, rates)
    playing = cluster.pods * pod_rate + head_rate
    again = cluster.reanalyzed * cluster.samples_per_insert
    out, back = again * cargo.position, again * cargo.target
    bounds = {
        PLAYING: playing,
        Role.REPLAY: rates.replay,
        Role.LEARNER: rates.learner,
        # What the head plays itself is not in the way.
        LINK_IN: (cluster.link + head_rate * cargo.transition) / (cargo.transition + back),
        LINK_OUT: cluster.link / out if out else math.inf,
    }
    if cluster.pods == 0:
        bounds[LINK_IN] = math.inf
    bound = min(bounds, key=lambda name: bounds[name])
    rate = bounds[bound]
    by_pods = rate - head_rate if bound == LINK_IN else rate * (1.0 - head_rate / playing)
    version_s = cluster.publish_interval * cluster.batch_size / (rate * cluster.samples_per_insert)
    left = cluster.link - rate * out
    fan_out_s = cluster.pods * cargo.weights / left if left > 0.0 else math.inf
    weights = cargo.weights / max(version_s, fan_out_s) if cluster.pods else 0.0
    head = Flow(sent=rate * out + cluster.pods * weights, received=by_pods * cargo.transition + rate * back)
    each = max(1, cluster.pods)
    return Forecast(
        env_steps_per_s=rate,
        bound=bound,
        bounds=bounds,
        pod=Flow(sent=head.received / each, received=head.sent / each),
        head=head,
        version_s=version_s,
        fan_out_s=fan_out_s,
    )


def useful_pods(cluster: Cluster, rates: Rates, cargo: Cargo) -> int:
    """The fewest pods with which something other than playing bounds the run, at most MOST_PODS; more of them wait."""

    def is_enough(pods: int) -> bool:
        return forecast(dataclasses.replace(cluster, pods=pods), rates, cargo).bound != PLAYING

    return bisect.bisect_left(range(MOST_PODS), True, key=is_enough)
