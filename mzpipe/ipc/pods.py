"""What a run's machine knows of each pod, in words that outlive a gateway that is killed.

    pod i:  | session | sessions | starts | linked | received | lost | version |   clock   taken[actor]   last[count]
            former[count]   node

V1  The gateway alone writes; every word is stored whole: 8 aligned bytes.
V2  taken[actor] is the number of the next record wanted from that actor's ring in the pod. It is raised before the
    record is committed to the run's ring: a gateway that is killed in between has lost that record, and no successor
    takes it twice.
V3  While `session` is 0, taken, last and received mean nothing: a new session begins.
"""

from typing import NamedTuple

import numpy as np

from .layout import WORDS_PER_LINE, ArrayLayout, Field

_SESSION, _SESSIONS, _STARTS, _LINKED, _RECEIVED, _LOST, _VERSION = range(7)
_NODE_BYTES = 64


class Offset(NamedTuple):
    """A pod's monotonic clock less the run's, in nanoseconds, give or take the error; and the link's round trip."""

    offset_ns: int
    error_ns: int
    round_trip_ns: int


# What a pod's actors count, as counters of ipc/counters.py; all are sums.
COUNTS = (
    *("env_steps", "simulations", "episodes", "episode_return", "episode_length"),
    *("resigned", "given_up", "false_resigns"),
)


def pods_layout(pods: int, actors: int) -> ArrayLayout:
    """Rows of all pods of a run."""
    return ArrayLayout(
        [
            Field("words", "int64", (pods, WORDS_PER_LINE)),
            Field("clock", "int64", (pods, WORDS_PER_LINE)),
            Field("taken", "int64", (pods, actors)),
            Field("last", "int64", (pods, len(COUNTS))),
            Field("former", "int64", (pods, len(COUNTS))),
            Field("node", "uint8", (pods, _NODE_BYTES)),
        ]
    )


class PodRow:
    """One pod's row: the gateway writes, any process reads."""

    def __init__(self, segment: dict[str, np.ndarray], pod: int) -> None:
        self._words, self._clock = segment["words"][pod], segment["clock"][pod]
        self.taken_A = segment["taken"][pod]
        self._last_C, self._former_C = segment["last"][pod], segment["former"][pod]
        self._node = segment["node"][pod]

    @property
    def is_linked(self) -> bool:
        """Whether the pod answers; a hint, which may be late."""
        return bool(self._words[_LINKED])

    @is_linked.setter
    def is_linked(self, linked: bool) -> None:
        self._words[_LINKED] = int(linked)

    @property
    def session(self) -> int:
        """The pod's life, by the number that it chose for it; 0 before the first."""
        return int(self._words[_SESSION])

    @property
    def sessions(self) -> int:
        """How many lives of the pod have joined this run."""
        return int(self._words[_SESSIONS])

    @property
    def lost(self) -> int:
        """Transitions that died with former lives."""
        return int(self._words[_LOST])

    @property
    def node(self) -> str:
        """The name of the machine on which the pod lives; "" before it has joined."""
        return self._node.tobytes().rstrip(b"\0").decode(errors="replace")

    @node.setter
    def node(self, name: str) -> None:
        self._node[:] = np.frombuffer(name.encode()[:_NODE_BYTES].ljust(_NODE_BYTES, b"\0"), np.uint8)

    @property
    def weights_version(self) -> int:
        """The version that the pod plays with, as far as it has told."""
        return int(self._words[_VERSION])

    @property
    def clock(self) -> Offset | None:
        """How the pod's clock differs from the run's; None before anything is known. The words are gauges."""
        found = Offset(*map(int, self._clock[: len(Offset._fields)]))
        return found if found.round_trip_ns else None

    @clock.setter
    def clock(self, offset: Offset) -> None:
        self._clock[: len(offset)] = offset

    def next_start(self) -> int:
        """Counts a start of the pod; returns how many there were before."""
        self._words[_STARTS] += 1
        return int(self._words[_STARTS]) - 1

    def begin(self, session: int) -> int:
        """Begins another life of the pod; returns the transitions that died with the one before."""
        before = self.on_their_way() if self.session else 0
        words = self._words
        words[_SESSION] = 0
        words[_LOST] += before
        self._former_C += self._last_C
        self._last_C[:] = 0
        self.taken_A[:] = 0
        words[_RECEIVED] = words[_VERSION] = 0
        self._clock[:] = 0
        words[_SESSIONS] += 1
        words[_SESSION] = session
        return before

    def tell(self, counts_C: tuple[int, ...], weights_version: int) -> None:
        """Takes in what the pod's actors have counted in its life so far, and what they play with."""
        self._last_C[:] = counts_C
        self._words[_VERSION] = weights_version

    def counted(self) -> np.ndarray:
        """What the actors of all lives have counted, in the order of COUNTS."""
        counted: np.ndarray = self._former_C + self._last_C
        return counted

    @property
    def life_steps(self) -> int:
        """Env steps of this life, as far as it has told."""
        return int(self._last_C[0])

    def take(self, actor: int) -> None:
        """Says that an actor's next record is about to be committed."""
        self.taken_A[actor] += 1

    def received(self, transitions: int) -> None:
        """Counts what was committed."""
        self._words[_RECEIVED] += transitions

    def on_their_way(self) -> int:
        """Transitions that this life has played, as far as it has told, and that have not arrived."""
        return max(0, self.life_steps - int(self._words[_RECEIVED]))
