"""The messages of a link between a pod and its run: typed, flat, small; bulk follows in a frame of its own.

    pod -> run    Ask -> Told + profile, or Busy       before the pod starts anything
                  Join -> Joined + taken              begins a link, and begins it again
                  Record + transitions, Targets + results, Want, Counts, Part + readings, Leave
    run -> pod    Credit + taken, Positions + positions, Chunk + weights, Rejoin, Refused, Ended

A link is an ordered stream in each direction, between two joins. Counts and Credit are its heartbeats: `sent` is the
number of messages, heartbeats apart, that the sender has sent since the join. Whoever has received fewer has lost some
with a connection, and joins, or asks for a join, again. `taken` is an int64 array: of each actor of the pod the number
of the next record wanted from its ring, so a record is sent again after a join unless it was taken, and is never taken
twice.

The codec of ipc/messages bounds every message; `Payload` says how large the frame after it must be.
"""

from dataclasses import dataclass
from typing import get_args

from ..ipc.messages import Codec

LINK_VERSION = 2
# A heartbeat goes out this often; an end that hears nothing for SILENCE_S takes the other for gone.
BEAT_S, SILENCE_S = 0.5, 8.0
# Weights cross in chunks of this many bytes, whole floats, WINDOW of which are asked for at a time.
CHUNK_BYTES, WINDOW = 1 << 19, 8


@dataclass(frozen=True)
class Ask:
    """What is there to play? `code` names the program's version and sources."""

    code: str


@dataclass(frozen=True)
class Busy:
    """Another process plays with this pod's key, or did a moment ago: ask again."""


@dataclass(frozen=True)
class Told:
    """The run, the starts of this pod before this one, and the learner's steps; the profile's text follows.

    `is_measured` and `trace_events` are those of the run's shape (ipc/shape.py)."""

    run_id: str
    starts: int
    learner_steps: int
    is_measured: bool
    trace_events: int


@dataclass(frozen=True)
class Join:
    """Begins a link; `attempt` comes back in Joined. `session` is the pod's life, `layout` and `profile` are digests,
    `node` is the name of its machine."""

    attempt: int
    code: str
    run_id: str
    session: int
    layout: str
    profile: str
    node: str


@dataclass(frozen=True)
class Joined:
    """The join of this number is accepted; up to `limit` records may be sent. `taken` follows."""

    attempt: int
    limit: int


@dataclass(frozen=True)
class Record:
    """Record number `sequence` of an actor's ring, of `rows` transitions, which follow."""

    actor: int
    sequence: int
    epoch: int
    rows: int


@dataclass(frozen=True)
class Positions:
    """Positions for one reanalyzer of the pod, which follow."""

    reanalyzer: int


@dataclass(frozen=True)
class Targets:
    """Fresh targets of one reanalyzer, which follow."""

    reanalyzer: int


@dataclass(frozen=True)
class Want:
    """A chunk of the weights; 0 begins with the newest version."""

    chunk: int


@dataclass(frozen=True)
class Chunk:
    """A part of a weights version, which follows; `digest` is the CRC32C up to its end (CURVE guards each frame)."""

    chunk: int
    version: int
    learner_steps: int
    env_steps: int
    digest: int


@dataclass(frozen=True)
class Counts:
    """The pod's heartbeat: what its actors have counted in its life, as ipc/pods.COUNTS, in words.

    `clock_ns` is the pod's time; `echo_ns` came with a Credit, `held_ns` before (link_clock.py)."""

    sent: int
    weights_version: int
    clock_ns: int
    echo_ns: int
    held_ns: int
    env_steps: int
    simulations: int
    episodes: int
    episode_return: int
    episode_length: int
    resigned: int
    given_up: int
    false_resigns: int


@dataclass(frozen=True)
class Part:
    """A part of what a measured run is told of the pod's processes (readings.py), which follows."""

    what: str
    part: int
    parts: int


@dataclass(frozen=True)
class Credit:
    """The run's heartbeat, and whenever there is news: up to `limit` records since the join. `taken` follows.

    `clock_ns` is the run's time, `trace_ns` for how long it traces from now on."""

    sent: int
    limit: int
    learner_steps: int
    weights_version: int
    clock_ns: int
    trace_ns: int


@dataclass(frozen=True)
class Rejoin:
    """The run knows of no link, or has missed messages: join (again)."""


@dataclass(frozen=True)
class Refused:
    """The pod cannot play for this run, and should end."""

    reason: str


@dataclass(frozen=True)
class Ended:
    """The run ends: hand over what is there, then end."""

    reason: str


@dataclass(frozen=True)
class Leave:
    """The pod ends, and has handed over what it could."""

    reason: str


FromPod = Ask | Join | Record | Targets | Want | Counts | Part | Leave
FromRun = Busy | Told | Joined | Positions | Chunk | Credit | Rejoin | Refused | Ended
POD_CODEC: Codec[FromPod] = Codec(LINK_VERSION, *get_args(FromPod))
RUN_CODEC: Codec[FromRun] = Codec(LINK_VERSION, *get_args(FromRun))
