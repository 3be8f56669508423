"""Counters: one row of int64 words per process, which writes it alone and any process reads.

    process i:  | laps | busy_laps | env_steps | ... |      names in COUNTERS' order

V1  A row has one writer; every word is stored whole: 8 aligned bytes, which one mov (x86-64) or str (Arm) stores.
V2  Words are gauges: no order between them is promised, and none is needed.
V3  A number too large for a word is kept as the largest one, and NaN is left out: neither ends a process.

A counter is declared once, here. The row, the sums over a role's processes, the metrics (`telemetry.metrics`) and the
page about them (docs/metrics.md) follow from the declaration.
"""

import math
import time
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from .layout import ArrayLayout, Field
from .roles import Role

_MILLION = 1_000_000
_LARGEST_WORD = (1 << 63) - 1


class Kind(Enum):
    """The kind of number in a word: (label for people, whether it adds up over processes, word value of one unit)."""

    COUNT = "a sum", True, 1
    FRACTIONS = "a sum, kept in millionths", True, _MILLION
    SECONDS = "a sum of seconds, kept in microseconds", True, _MILLION
    GAUGE = "current value", False, 1
    FRACTION = "current value, kept in millionths", False, _MILLION

    def __init__(self, label: str, adds_up: bool, scale: int) -> None:
        self.label, self.adds_up, self.scale = label, adds_up, scale


class Counter(NamedTuple):
    """One word in the row of every process that has one of these roles."""

    name: str
    roles: tuple[Role, ...]
    kind: Kind
    meaning: str


EVERY = tuple(Role)
_WRITERS = (Role.ACTOR, Role.REPLAY, Role.REANALYZER, Role.LEARNER)
# The gateway counts for the actors of all pods.
_PLAYING = (Role.ACTOR, Role.GATEWAY)
_ACTOR, _INFERENCE, _REPLAY = (Role.ACTOR,), (Role.INFERENCE,), (Role.REPLAY,)
_ON_DEVICES = (Role.INFERENCE, Role.LEARNER)
_GATEWAY, _UPLINK, _BRIDGE = (Role.GATEWAY,), (Role.UPLINK,), (Role.GATEWAY, Role.UPLINK)
_REANALYZER, _LEARNER, _EVALUATOR = (Role.REANALYZER,), (Role.LEARNER,), (Role.EVALUATOR,)

COUNTERS = (
    Counter("laps", EVERY, Kind.COUNT, "laps of the duty cycle"),
    Counter("busy_laps", EVERY, Kind.COUNT, "laps that did work"),
    Counter("ready", EVERY, Kind.GAUGE, "1 once the role works"),
    Counter("pid", EVERY, Kind.GAUGE, "process that has the role now"),
    Counter("restarts", EVERY, Kind.COUNT, "how often the process was started again"),
    Counter("wait_out", _WRITERS, Kind.COUNT, "laps in which a full ring kept a record back"),
    Counter("queue_fill", (Role.ACTOR, Role.REPLAY), Kind.FRACTION, "fill of the ring that the process writes into"),
    Counter(
        "weights_version",
        (Role.LEARNER, Role.INFERENCE, Role.EVALUATOR, Role.UPLINK),
        Kind.GAUGE,
        "last one published, served or evaluated",
    ),
    Counter("env_steps", _PLAYING, Kind.COUNT, "moves played"),
    Counter("simulations", _PLAYING, Kind.COUNT, "simulations searched"),
    Counter("episodes", _PLAYING, Kind.COUNT, "training games ended"),
    Counter("episode_return", _PLAYING, Kind.FRACTIONS, "returns of training games"),
    Counter("episode_length", _PLAYING, Kind.COUNT, "moves of training games"),
    Counter("resigned", _PLAYING, Kind.COUNT, "training games that a player resigned"),
    Counter("given_up", _PLAYING, Kind.COUNT, "training games that a player would have resigned, played to their ends"),
    Counter("false_resigns", _PLAYING, Kind.COUNT, "those of them that this player did not lose"),
    Counter("batches", _INFERENCE, Kind.COUNT, "batches run"),
    Counter("batch_rows", _INFERENCE, Kind.COUNT, "requests in these batches, one per tree"),
    Counter("launch_time", _ON_DEVICES, Kind.SECONDS, "time for queueing batches or steps on a GPU"),
    Counter("device_time", _ON_DEVICES, Kind.SECONDS, "time that the GPU took for them"),
    Counter("inserted", _REPLAY, Kind.COUNT, "transitions stored"),
    Counter("sampled", _REPLAY, Kind.COUNT, "positions sampled"),
    Counter("stored", _REPLAY, Kind.GAUGE, "transitions now in the table"),
    Counter("capacity", _REPLAY, Kind.GAUGE, "transitions that fit into the table"),
    Counter("refused", _REPLAY, Kind.COUNT, "transitions of records with impossible values"),
    Counter("staleness", _REPLAY, Kind.FRACTIONS, "age of the positions handed out, in weights versions"),
    Counter("target_age", _REPLAY, Kind.FRACTIONS, "age of their policy targets' searches, in weights versions"),
    Counter("handed_out", _REPLAY, Kind.COUNT, "positions in batches given to the learner"),
    Counter("reanalyzed", _REPLAY, Kind.COUNT, "positions handed out after being searched again"),
    Counter("evicted", _REPLAY, Kind.COUNT, "positions that left the table between draw and batch"),
    Counter("stale_priorities", _REPLAY, Kind.COUNT, "priorities dropped because their positions are gone"),
    Counter("priority_updates", _REPLAY, Kind.COUNT, "priorities taken in"),
    Counter("insert_wait", _REPLAY, Kind.SECONDS, "time in which actors waited for the learner (rate limiter)"),
    Counter("sample_wait", _REPLAY, Kind.SECONDS, "time in which the learner waited for actors (rate limiter)"),
    Counter("reanalyze_wait", _REPLAY, Kind.SECONDS, "time in which batches waited for reanalyzers: there are too few"),
    Counter(
        "learner_wait", _REPLAY, Kind.SECONDS, "time in which batches waited for the learner: it is the bottleneck"
    ),
    Counter("journal_bytes", _REPLAY, Kind.GAUGE, "bytes of the journal on disk"),
    Counter("unjournaled", _REPLAY, Kind.COUNT, "transitions that the journal had to leave out"),
    Counter("restored", _REPLAY, Kind.GAUGE, "transitions restored from the journal"),
    Counter("lost", _REPLAY, Kind.GAUGE, "transitions lost in a kill: played, but not restored"),
    Counter("former_env_steps", _REPLAY, Kind.GAUGE, "moves that earlier sessions had played"),
    Counter("former_inserted", _REPLAY, Kind.GAUGE, "transitions stored before this session's first move"),
    Counter("targets", _REPLAY, Kind.COUNT, "targets computed"),
    Counter("positions", _REANALYZER, Kind.COUNT, "positions searched again"),
    Counter("busy", _REANALYZER, Kind.SECONDS, "time with a search under way"),
    Counter("learner_steps", _LEARNER, Kind.COUNT, "training steps, counted by rank 0"),
    Counter("step_ticket", _LEARNER, Kind.GAUGE, "batch that all ranks are to train on, counted from 1"),
    Counter("skipped_steps", _LEARNER, Kind.COUNT, "steps skipped for a loss or gradient that is not finite"),
    Counter("clipped_targets", _LEARNER, Kind.COUNT, "targets outside the support, and clipped"),
    Counter("loss_steps", _LEARNER, Kind.COUNT, "training steps in the sums of losses"),
    Counter("loss_total", _LEARNER, Kind.FRACTIONS, "training loss"),
    Counter("loss_policy", _LEARNER, Kind.FRACTIONS, "loss of the policies"),
    Counter("loss_value", _LEARNER, Kind.FRACTIONS, "loss of the values, before its weight"),
    Counter("loss_reward", _LEARNER, Kind.FRACTIONS, "loss of the rewards"),
    Counter("loss_consistency", _LEARNER, Kind.FRACTIONS, "loss of the consistency, before its weight"),
    Counter("loss_reconstruction", _LEARNER, Kind.FRACTIONS, "loss of the reconstruction, before its weight"),
    Counter("loss_afterstate", _LEARNER, Kind.FRACTIONS, "loss of the afterstates' values, before its weight"),
    Counter("loss_code", _LEARNER, Kind.FRACTIONS, "loss of the policies over the codes of chance"),
    Counter("loss_commitment", _LEARNER, Kind.FRACTIONS, "loss of the encoder of chance, before its weight"),
    Counter("value_error", _LEARNER, Kind.FRACTIONS, "mean |v - z| of a batch"),
    Counter("unanswered", _REPLAY, Kind.COUNT, "positions that a pod did not search again: it is gone"),
    Counter("links", _GATEWAY, Kind.GAUGE, "pods that answer"),
    Counter("pod_lost", _GATEWAY, Kind.GAUGE, "transitions that died with pods, as far as these had told of them"),
    Counter("pod_transitions", _BRIDGE, Kind.COUNT, "transitions that have crossed a link"),
    Counter("link_bytes_in", _BRIDGE, Kind.COUNT, "bytes received over links, before encryption"),
    Counter("link_bytes_out", _BRIDGE, Kind.COUNT, "bytes sent over links, before encryption"),
    Counter(
        "rejoins", _GATEWAY, Kind.COUNT, "times that a pod had to join again: messages were lost with a connection"
    ),
    Counter("refused_pods", _GATEWAY, Kind.COUNT, "joins refused, and peers dropped for what they sent"),
    Counter("credit_wait", _UPLINK, Kind.SECONDS, "time in which records waited for room on the run's machine"),
    Counter("weights_delay", _UPLINK, Kind.SECONDS, "time from the news of weights versions to their publication"),
    Counter("weights_taken", _UPLINK, Kind.COUNT, "weights versions taken over the link"),
    Counter("evaluations", _EVALUATOR, Kind.COUNT, "evaluations ended"),
    Counter(
        "long_call", EVERY, Kind.GAUGE, "call under way that may take longer than laps tell, by its number; 0: none"
    ),
    Counter("parts", EVERY, Kind.COUNT, "parts of such calls that are done, as restored trajectories"),
)
BY_NAME = {counter.name: counter for counter in COUNTERS}
_INDEX = {name: index for index, name in enumerate(BY_NAME)}
_WORDS = {counter.name: (index, counter.kind.scale) for index, counter in enumerate(COUNTERS)}
_LAPS, _BUSY_LAPS = _INDEX["laps"], _INDEX["busy_laps"]


def counters_layout(num_processes: int) -> ArrayLayout:
    """Rows of all processes of a run."""
    return ArrayLayout([Field("words", "int64", (num_processes, -(-len(COUNTERS) // 16) * 16))])


def sums(words_PC: np.ndarray, roles: Sequence[Role]) -> dict[str, float]:
    """Every counter that adds up, summed over the processes that keep it; `roles` has the role of every row."""
    rows = {counter: [row for row, role in enumerate(roles) if role in counter.roles] for counter in COUNTERS}
    return {
        counter.name: int(words_PC[rows[counter], _INDEX[counter.name]].sum()) / counter.kind.scale
        for counter in COUNTERS
        if counter.kind.adds_up
    }


class Counters:
    """One process's row: only its owner calls `add` and `set`, any process reads. Amounts are in the counter's unit."""

    def __init__(self, words_PC: np.ndarray, process_index: int) -> None:
        self._words = memoryview(words_PC[process_index])

    def add(self, name: str, amount: float = 1) -> None:
        """Adds to a counter."""
        index, scale = _WORDS[name]
        try:
            self._words[index] += round(amount * scale)
        except (ValueError, OverflowError):
            self._words[index] = _nearest_word(self._words[index] + amount * scale, self._words[index])

    def set(self, name: str, value: float) -> None:
        """Sets a counter."""
        index, scale = _WORDS[name]
        try:
            self._words[index] = round(value * scale)
        except (ValueError, OverflowError):
            self._words[index] = _nearest_word(value * scale, self._words[index])

    def get(self, name: str) -> int:
        """The word itself; fractions and seconds are in millionths."""
        return self._words[_INDEX[name]]

    def value(self, name: str) -> float:
        """The current value of a counter, in its unit."""
        index, scale = _WORDS[name]
        return self._words[index] / scale

    def lap(self, work_count: int) -> None:
        """Counts one lap of the duty cycle."""
        self._words[_LAPS] += 1
        if work_count:
            self._words[_BUSY_LAPS] += 1


def _nearest_word(number: float, word: int) -> int:
    """The word nearest to a number that is too large for one; `word`, the one before, for NaN."""
    return word if math.isnan(number) else int(max(-_LARGEST_WORD, min(number, _LARGEST_WORD)))


class WaitClock:
    """Adds the time from one lap to the next to every counter that was marked in between."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last_s = time.monotonic()
        self._marked: set[str] = set()

    def lap(self) -> None:
        """Begins a lap."""
        now_s = time.monotonic()
        for name in self._marked:
            self._counters.add(name, now_s - self._last_s)
        self._last_s = now_s
        self._marked.clear()

    def mark(self, name: str) -> None:
        """Counts the time until the next lap into the counter `name`."""
        self._marked.add(name)
