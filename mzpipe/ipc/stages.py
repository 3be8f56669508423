"""Stages: how every process spends its time, in words that any process can read while it runs or after it died.

    process i:  | wait_in_ns | wait_out_ns | other_ns | last stage | ...   its own time, outside any stage
                | stage 0: items, busy_ns, histogram | stage 1: ... |       one row per Stage

T1  A process's rows have one writer; every word is stored whole (aligned 8 bytes).
T2  Every moment is counted once, when its stage or wait ends: in the busy_ns of one stage, in `wait_in_ns` (laps that
    found nothing to do), in `wait_out_ns` (laps that a full ring or a limit held up) or in `other_ns`. The sum is the
    time for which the process accounts.
T3  Words are gauges, read without order: a reader may see a stage's items before its time.
T4  `last stage` is the place of the stage that ended last; 0 before the first one.

Shape legend    P processes   S stages   B buckets of a histogram   W words
"""

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np

from .layout import ArrayLayout, Field
from .roles import Role
from .trace import Mark, NoStage, TraceWriter


class Stage(IntEnum):
    """A part of the pipeline whose time is counted; `meaning` says what an item is."""

    label: str
    role: Role
    unit: str
    meaning: str

    def __new__(cls, *declared: Any) -> "Stage":
        """Numbers stages from 0 on, in their order here; the label names a stage in reports, tags and docs."""
        stage = int.__new__(cls, len(cls.__members__))
        stage._value_ = int(stage)
        stage.label, stage.role, stage.unit, stage.meaning = declared
        return stage

    ENV_STEP = "env step", Role.ACTOR, "env steps", "a move of one game"
    ROOT_SEARCH = "root search", Role.ACTOR, "searches", "a root; the latency is that of its whole search"
    TREE = "select/backup", Role.ACTOR, "simulations", "select and backup of one simulation of one tree"
    TRAJECTORY_WRITE = "trajectory write", Role.ACTOR, "transitions", "a transition handed over"
    INFERENCE_GATHER = "inference gather", Role.INFERENCE, "requests", "a request taken into a batch"
    INFERENCE_DEVICE = (
        "inference device",
        Role.INFERENCE,
        "requests",
        "a request, until its answer is on the host",
    )
    INFERENCE_REPLY = "reply", Role.INFERENCE, "requests", "a request answered"
    REPLAY_INSERT = "replay insert", Role.REPLAY, "transitions", "a transition stored"
    REPLAY_SAMPLE = "sample", Role.REPLAY, "samples", "a position, drawn and gathered"
    REANALYZE = "reanalyze", Role.REANALYZER, "positions", "a position; the latency is that of a group of them"
    BATCH_COPY = "batch copy", Role.LEARNER, "batches", "a batch"
    FORWARD = "learner forward", Role.LEARNER, "steps", "a training step's forward pass"
    BACKWARD = "learner backward", Role.LEARNER, "steps", "a training step's backward pass"
    OPTIMIZER = "learner optimiser", Role.LEARNER, "steps", "a training step's change of the weights"
    PUBLISH = "publish", Role.LEARNER, "versions", "a weights version"
    UPLINK_SEND = "uplink send", Role.UPLINK, "transitions", "a transition packed and sent to the run's machine"
    UPLINK_TAKE = "uplink take", Role.UPLINK, "messages", "a message of the run's machine: weights, positions, credit"
    GATEWAY_TAKE = "gateway take", Role.GATEWAY, "messages", "a message of a pod: a trajectory, targets, counts"
    GATEWAY_SEND = "gateway send", Role.GATEWAY, "messages", "a message to a pod: weights, positions, credit"
    EVALUATION = "evaluation", Role.EVALUATOR, "env steps", "a move of one evaluation game"


# For each role that can limit the pipeline: the stage whose items count its progress.
PROGRESS_STAGES = {
    Role.ACTOR: Stage.ENV_STEP,
    Role.INFERENCE: Stage.INFERENCE_REPLY,
    Role.REPLAY: Stage.REPLAY_INSERT,
    Role.REANALYZER: Stage.REANALYZE,
    Role.LEARNER: Stage.OPTIMIZER,
}


def stages_of(role: Role) -> list[Stage]:
    """A role's stages."""
    return [stage for stage in Stage if stage.role == role]


# Buckets of a histogram: four to every doubling of nanoseconds, up to 2^43 ns (more than two hours).
_PER_DOUBLING, _DOUBLINGS = 4, 42
BUCKETS = _PER_DOUBLING * _DOUBLINGS
_BITS = 3  # leading bits of a duration: the first is always 1, two more name the quarter of its doubling
_ITEMS, _BUSY, _FIRST_BUCKET = 0, 1, 2
_STAGE_WORDS = 176  # items, busy_ns, the buckets, and padding to whole cache lines
_OWN_WORDS = 8
_WAIT_IN, _WAIT_OUT, _OTHER, _LAST = range(4)
_NO_STAGES = (NoStage.WAIT_IN, NoStage.WAIT_OUT, NoStage.OTHER)


def stages_layout(num_processes: int) -> ArrayLayout:
    """Rows of all processes of a run."""
    words = _OWN_WORDS + len(Stage) * _STAGE_WORDS
    return ArrayLayout([Field("words", "int64", (num_processes, words))])


class StageClock:
    """One process's rows, for the process itself.

    A lap consists of stages, each closed by `end`, and ends with `lap`. `skip` counts the time before a stage that does
    not belong to it. In a run with a trace, each of these is also a slice of the trace.
    """

    def __init__(
        self,
        words_PW: np.ndarray,
        process_index: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
        trace: TraceWriter | None = None,
    ) -> None:
        self._words, self._now_ns, self._trace = memoryview(words_PW[process_index]), now_ns, trace
        self._last_ns = now_ns()
        self._is_blocked = self._is_starved = self._goes_on = False

    def start(self) -> None:
        """Discards the time since the last call: the process has only begun, or other roles had their turn."""
        self._last_ns = self._now_ns()

    def end(self, stage: Stage, items: int = 1) -> None:
        """Counts the time since the last call as this stage's, with this many items."""
        now_ns, words = self._now_ns(), self._words
        elapsed_ns = now_ns - self._last_ns
        if self._trace is not None:
            self._trace.slice(stage, self._last_ns, now_ns, items)
        self._last_ns = now_ns
        base = words[_LAST] = _BASES[stage]
        words[base] += items
        words[base + _BUSY] += elapsed_ns
        shift = elapsed_ns.bit_length() - _BITS  # bucket_of, written out: this is called for every simulation
        if 0 <= shift < _DOUBLINGS - 1:
            words[base + _FIRST_BUCKET + _PER_DOUBLING * shift + (elapsed_ns >> shift)] += 1
        else:
            words[base + _FIRST_BUCKET + bucket_of(elapsed_ns)] += 1

    def add(self, stage: Stage, items: int) -> None:
        """Counts time and items as `end` does, but no latency: for a stage whose latency `took` counts."""
        now_ns, words = self._now_ns(), self._words
        base = words[_LAST] = _BASES[stage]
        words[base] += items
        words[base + _BUSY] += now_ns - self._last_ns
        if self._trace is not None:
            self._trace.slice(stage, self._last_ns, now_ns, items)
        self._last_ns = now_ns

    def took(self, stage: Stage, elapsed_ns: int) -> None:
        """Counts one latency, measured by the caller, of a stage that other stages interrupt."""
        self._words[_BASES[stage] + _FIRST_BUCKET + bucket_of(elapsed_ns)] += 1

    def skip(self) -> None:
        """Counts the time since the last call as no stage's."""
        now_ns = self._now_ns()
        self._words[_OTHER] += now_ns - self._last_ns
        if self._trace is not None:
            self._trace.slice(NoStage.OTHER, self._last_ns, now_ns)
        self._last_ns = now_ns

    def blocked(self) -> None:
        """Says that downstream held work up in this lap: if the lap did nothing else, its time is `wait_out`."""
        self._is_blocked = True

    def starved(self) -> None:
        """Says that this lap waited for input, although it does not count as idle."""
        self._is_starved = True

    def goes_on(self) -> None:
        """Says that the stage that ends next is not over at the end of this lap: the lap's time is that stage's."""
        self._goes_on = True

    def lap(self, work_count: int) -> bool:
        """Ends a lap, including its wait: the rest of its time was a wait if there was nothing to do.

        Returns whether a stage goes on: a `start` before the next lap would discard what it has taken.
        """
        if self._goes_on:
            self._is_blocked = self._is_starved = self._goes_on = False
            return True
        now_ns = self._now_ns()
        waited = _WAIT_OUT if self._is_blocked else _WAIT_IN
        slot = waited if self._is_starved or not work_count else _OTHER
        self._words[slot] += now_ns - self._last_ns
        if self._trace is not None:
            self._trace.slice(_NO_STAGES[slot], self._last_ns, now_ns)
        self._last_ns = now_ns
        self._is_blocked = self._is_starved = False
        return False

    def mark(self, mark: Mark, place: int, sequence: int) -> None:
        """Writes a mark into the trace, if there is one; it belongs to the stage that ends next."""
        if self._trace is not None:
            self._trace.mark(mark, place, sequence)


def last_stage(words_PW: np.ndarray, process_index: int) -> Stage | None:
    """The stage that a process ended last; None before the first one."""
    place = int(words_PW[process_index, _LAST])
    return Stage((place - _OWN_WORDS) // _STAGE_WORDS) if place else None


class StageReading:
    """A copy of every process's rows at one moment; the difference of two says what happened between them."""

    def __init__(self, words_PW: np.ndarray) -> None:
        self._own_PW = words_PW[:, :_OWN_WORDS].copy()
        self._stages_PSW = words_PW[:, _OWN_WORDS:].reshape(len(words_PW), len(Stage), _STAGE_WORDS).copy()

    def words(self) -> np.ndarray:
        """int64 [P, W]: the rows as they were read, of which another process makes the same reading."""
        return np.concatenate([self._own_PW, self._stages_PSW.reshape(len(self._own_PW), -1)], axis=1)

    def since(self, earlier: "StageReading") -> "StageReading":
        """The counts since `earlier`."""
        change = StageReading.__new__(StageReading)
        change._own_PW = self._own_PW - earlier._own_PW
        change._stages_PSW = self._stages_PSW - earlier._stages_PSW
        return change

    @property
    def wait_in_P(self) -> np.ndarray:
        """Seconds in which each process found nothing to do."""
        return self._own_PW[:, _WAIT_IN] / _NS_PER_S

    @property
    def wait_out_P(self) -> np.ndarray:
        """Seconds in which downstream held each process up."""
        return self._own_PW[:, _WAIT_OUT] / _NS_PER_S

    @property
    def other_P(self) -> np.ndarray:
        """Seconds of work outside any stage."""
        return self._own_PW[:, _OTHER] / _NS_PER_S

    @property
    def accounted_P(self) -> np.ndarray:
        """Seconds of each process in all of these: stages, waits and other work."""
        return self.busy_PS.sum(axis=1) + self.wait_in_P + self.wait_out_P + self.other_P

    @property
    def items_PS(self) -> np.ndarray:
        """Items of every stage."""
        return self._stages_PSW[:, :, _ITEMS]

    @property
    def busy_PS(self) -> np.ndarray:
        """Seconds of work of every stage."""
        return self._stages_PSW[:, :, _BUSY] / _NS_PER_S

    @property
    def histogram_PSB(self) -> np.ndarray:
        """Calls of every stage by duration; bucket_edges_ns() has the buckets' bounds."""
        return self._stages_PSW[:, :, _FIRST_BUCKET : _FIRST_BUCKET + BUCKETS]


def bucket_of(elapsed_ns: int) -> int:
    """Bucket of a duration: four to every doubling; a duration above 2^43 ns falls into the last."""
    shift = elapsed_ns.bit_length() - _BITS
    if shift < 0:
        return max(0, elapsed_ns)
    return min(BUCKETS - 1, _PER_DOUBLING * shift + (elapsed_ns >> shift))


def bucket_edges_ns() -> np.ndarray:
    """int64 [BUCKETS + 1]: bucket b holds durations from edge b up to, not including, edge b + 1."""
    small = np.arange(_PER_DOUBLING)
    rest = [(4 + part) << (doubling - 1) for doubling in range(1, _DOUBLINGS) for part in range(_PER_DOUBLING)]
    return np.array([*small, *rest, 4 << (_DOUBLINGS - 1)], np.int64)


def quantile_us(histogram_B: np.ndarray, fraction: float) -> float | None:
    """Microseconds that this fraction of calls did not exceed, linear within a bucket; None without calls."""
    total = int(histogram_B.sum())
    if total == 0:
        return None
    edges, rank = bucket_edges_ns(), fraction * total
    passed = np.cumsum(histogram_B)
    bucket = int(np.searchsorted(passed, rank))
    inside = (rank - (passed[bucket] - histogram_B[bucket])) / histogram_B[bucket]
    return float(edges[bucket] + inside * (edges[bucket + 1] - edges[bucket])) / _NS_PER_US


_NS_PER_S, _NS_PER_US = 1e9, 1e3
_BASES = [_OWN_WORDS + stage * _STAGE_WORDS for stage in Stage]
