"""A discrete simulation of pods: what the arithmetic leaves out, which is waiting.

    actor -> pod's link -> head's link -> replay server -> table <- learner
                                                             weights -> head's link -> pods, one after the other

Every station serves one record at a time, first come, first served, and takes the same time for each. An actor's
record keeps its slot of the actor's ring until the replay server has inserted it; an actor without a free slot waits.
So no queue grows: at most the slots of all rings are under way. The rate limiter is that of the replay server.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...config import Profile
from ...ipc.roles import Role
from ...replay.rate_limiter import RateLimiter
from .cargo import Cargo
from .forecast import Cluster, play_rate
from .rates import Rates

# Stations, beside the roles.
POD_LINKS, HEAD_LINK = "pods' links", "head's link"
# The random part of the time in which an actor plays a record: games and searches differ.
_JITTER = 0.2


@dataclass(frozen=True)
class Work:
    """Times in seconds, of one record where nothing else is said."""

    pods: int
    actors: int
    # The time in which an actor plays a record's transitions: its mean, and the part that is random (exponential).
    play_s: float
    jitter: float = 0.0
    # Of a record in a ring of each actor.
    ring_slots: int = 64
    pod_link_s: float = 0.0
    head_link_s: float = 0.0
    # What the link adds to the time of its bytes.
    delay_s: float = 0.0
    replay_s: float = 0.0
    # Of one training step and of one pod's copy of the weights.
    step_s: float = 0.0
    weights_s: float = 0.0
    transitions: int = 64
    batch_size: int = 64
    publish_interval: int = 100
    samples_per_insert: float = 4.0
    min_size: int = 1_000
    max_insert_lead: int = 2_000
    # Actors of the head, whose records cross no link and whose weights are the newest.
    head_actors: int = 0
    head_play_s: float = 1.0

    @classmethod
    def of(cls, cluster: Cluster, rates: Rates, cargo: Cargo, profile: Profile) -> "Work":
        """That of a profile's cluster; the pods' links are as fast as the head's."""
        pod_rate, head_rate = play_rate(cluster, rates)
        transitions = profile.actor.trajectory_length
        return cls(
            pods=cluster.pods,
            actors=cluster.actors,
            play_s=transitions * cluster.actors / pod_rate,
            jitter=_JITTER,
            ring_slots=profile.topology.trajectory_ring_slots,
            pod_link_s=transitions * cargo.transition / cluster.link,
            head_link_s=transitions * cargo.transition / cluster.link,
            replay_s=transitions / rates.replay,
            step_s=cluster.batch_size / (rates.learner * cluster.samples_per_insert),
            weights_s=cargo.weights / cluster.link,
            transitions=transitions,
            batch_size=cluster.batch_size,
            publish_interval=cluster.publish_interval,
            samples_per_insert=cluster.samples_per_insert,
            min_size=2 * profile.replay.max_insert_lead,  # a full table's is the same, later
            max_insert_lead=profile.replay.max_insert_lead,
            head_actors=cluster.head_actors,
            head_play_s=transitions * cluster.head_actors / head_rate if head_rate else 1.0,
        )


@dataclass
class Station:
    """A server with a queue; `waited_s` and `busy_s` are sums over the records served in the measured time."""

    service_s: float
    free_s: float = 0.0
    served: int = 0
    waited_s: float = 0.0
    busy_s: float = 0.0

    def serve(self, now_s: float) -> float:
        """When a record that comes now is done."""
        begin_s = max(now_s, self.free_s)
        self.free_s = begin_s + self.service_s
        self.served += 1
        self.waited_s += begin_s - now_s
        self.busy_s += self.service_s
        return self.free_s

    @property
    def mean_wait_s(self) -> float:
        """Mean time in the queue."""
        return self.waited_s / self.served if self.served else math.nan

    def forget(self) -> None:
        """Begins the measured time."""
        self.served, self.waited_s, self.busy_s = 0, 0.0, 0.0


@dataclass
class Outcome:
    """What happened in the measured time."""

    seconds: float
    env_steps_per_s: float
    learner_steps_per_s: float
    samples_per_insert: float
    # The part of the actors' time in which they waited for a free slot.
    blocked: float
    # The part of the time in which each station worked, and the mean wait before it.
    busy: dict[str, float]
    wait_s: dict[str, float]
    # Of the weights of pods, when a record came in: the time since the version was published, and the versions behind.
    weights_age_s: float
    versions_behind: float


@dataclass
class _Tally:
    inserted: int = 0
    sampled: int = 0
    steps: int = 0
    blocked_s: float = 0.0
    ages_s: list[float] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)


class Simulation:
    """Runs from an empty table; `run` measures after a warm-up."""

    def __init__(self, work: Work, seed: int = 0) -> None:
        self._work, self._draws = work, np.random.default_rng(seed)
        self._now_s = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._pod_links = [Station(work.pod_link_s) for _ in range(work.pods)]
        self._head_link, self._replay = Station(work.head_link_s), Station(work.replay_s)
        self._learner = Station(work.step_s)
        self._limiter = RateLimiter(
            samples_per_insert=work.samples_per_insert,
            min_size=work.min_size,
            max_insert_lead=work.max_insert_lead,
            batch_size=work.batch_size,
            trajectory_length=work.transitions,
            capacity=1 << 40,
        )
        self._arrived: deque[int] = deque()
        self._is_inserting = self._is_learning = self._is_sending = False
        self._remote = work.pods * work.actors
        self._slots = [work.ring_slots] * (self._remote + work.head_actors)
        self._blocked_since_s: dict[int, float] = {}
        self._published_s = [0.0]
        self._version_of = [0] * work.pods
        self._next_pod = 0
        self._tally = _Tally()
        for actor in range(len(self._slots)):
            self._play(actor)

    def run(self, *, warm_s: float, seconds: float) -> Outcome:
        """Simulates `warm_s`, then `seconds` that are measured."""
        self._until(warm_s)
        self._tally = _Tally()
        self._blocked_since_s = dict.fromkeys(self._blocked_since_s, self._now_s)
        stations = [*self._pod_links, self._head_link, self._replay, self._learner]
        for station in stations:
            station.forget()
        self._until(warm_s + seconds)
        return self._outcome(seconds)

    def _outcome(self, seconds: float) -> Outcome:
        tally, work = self._tally, self._work
        blocked_s = tally.blocked_s + sum(self._now_s - since_s for since_s in self._blocked_since_s.values())
        pods = self._pod_links
        stations = {HEAD_LINK: self._head_link, Role.REPLAY: self._replay, Role.LEARNER: self._learner}
        served = sum(link.served for link in pods)
        return Outcome(
            seconds=seconds,
            env_steps_per_s=tally.inserted / seconds,
            learner_steps_per_s=tally.steps / seconds,
            samples_per_insert=tally.sampled / tally.inserted if tally.inserted else math.nan,
            blocked=blocked_s / (seconds * len(self._slots)),
            busy={POD_LINKS: sum(link.busy_s for link in pods) / (seconds * work.pods)}
            | {name: station.busy_s / seconds for name, station in stations.items()},
            wait_s={POD_LINKS: sum(link.waited_s for link in pods) / served if served else math.nan}
            | {name: station.mean_wait_s for name, station in stations.items()},
            weights_age_s=float(np.mean(tally.ages_s)) if tally.ages_s else math.nan,
            versions_behind=float(np.mean(tally.behind)) if tally.behind else math.nan,
        )

    def _until(self, end_s: float) -> None:
        while self._events and self._events[0][0] <= end_s:
            self._now_s, _, event = heapq.heappop(self._events)
            event()
        self._now_s = end_s

    def _at(self, time_s: float, event: Callable[[], None]) -> None:
        self._count += 1  # of two events at one time the first made comes first
        heapq.heappush(self._events, (time_s, self._count, event))

    def _play(self, actor: int) -> None:
        """Plays the next record into a slot, which must be free."""
        self._slots[actor] -= 1
        work = self._work
        mean_s = work.play_s if actor < self._remote else work.head_play_s
        random = work.jitter * (self._draws.standard_exponential() - 1.0) if work.jitter else 0.0
        self._at(self._now_s + mean_s * (1.0 + random), lambda: self._played(actor))

    def _played(self, actor: int) -> None:
        if actor < self._remote:
            link = self._pod_links[actor // self._work.actors]
            self._at(link.serve(self._now_s) + self._work.delay_s, lambda: self._at_head(actor))
        else:
            self._arrive(actor)
        if self._slots[actor]:
            self._play(actor)
        else:
            self._blocked_since_s[actor] = self._now_s

    def _at_head(self, actor: int) -> None:
        self._at(self._head_link.serve(self._now_s), lambda: self._arrive(actor))

    def _arrive(self, actor: int) -> None:
        self._arrived.append(actor)
        self._insert()

    def _insert(self) -> None:
        """Begins to insert the oldest record, if the replay server is free and the limiter lets it."""
        if self._is_inserting or not self._arrived or not self._limiter.can_insert(self._work.transitions):
            return
        self._is_inserting = True
        actor = self._arrived.popleft()
        self._at(self._replay.serve(self._now_s), lambda: self._inserted(actor))

    def _inserted(self, actor: int) -> None:
        self._is_inserting = False
        self._limiter.inserted += self._work.transitions
        self._tally.inserted += self._work.transitions
        if actor < self._remote:
            version = self._version_of[actor // self._work.actors]
            self._tally.ages_s.append(self._now_s - self._published_s[version])
            self._tally.behind.append(len(self._published_s) - 1 - version)
        self._slots[actor] += 1
        since_s = self._blocked_since_s.pop(actor, None)
        if since_s is not None:
            self._tally.blocked_s += self._now_s - since_s
            self._play(actor)
        self._learn()
        self._insert()

    def _learn(self) -> None:
        if self._is_learning or not self._limiter.can_sample(self._work.batch_size):
            return
        self._is_learning = True
        self._limiter.sampled += self._work.batch_size
        self._tally.sampled += self._work.batch_size
        self._at(self._learner.serve(self._now_s), self._learned)

    def _learned(self) -> None:
        self._is_learning = False
        self._tally.steps += 1
        if (self._limiter.sampled // self._work.batch_size) % self._work.publish_interval == 0:
            self._published_s.append(self._now_s)
            self._send()
        self._learn()
        self._insert()

    def _send(self) -> None:
        """Sends the newest version to the next pod that lacks it; a transfer that has begun is finished."""
        newest = len(self._published_s) - 1
        pods = range(self._next_pod, self._next_pod + self._work.pods)
        lacking = next(
            (pod for pod in (each % self._work.pods for each in pods) if self._version_of[pod] < newest), None
        )
        if self._is_sending or lacking is None:
            return
        self._is_sending, self._next_pod = True, lacking + 1
        self._at(self._now_s + self._work.weights_s, lambda: self._sent(lacking, newest))

    def _sent(self, pod: int, version: int) -> None:
        self._is_sending = False
        self._version_of[pod] = version  # `delay_s` later, which is small beside the age of weights
        self._send()
