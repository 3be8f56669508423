"""Counters: one row of int64 words per process, written by it alone, read by anybody.

    process i:  | laps | busy_laps | env_steps | ... |      names in COUNTERS' order

V1  A row has one writer; every word is stored whole (aligned 8 bytes).
V2  Words are gauges: no order between them is promised, and none is needed.

Fractions are stored in millionths (`_millionths`), because words are integers.
"""

import time

import numpy as np

from .layout import ArrayLayout, Field

MILLION = 1_000_000

COUNTERS = (
    "laps",  # every process: laps of its duty cycle
    "busy_laps",  # laps that did work
    "ready",  # 1 once the role works
    "pid",  # of the process that has the role now
    "env_steps",  # actor: moves played
    "simulations",  # actor: simulations searched
    "episodes",  # actor: training games ended
    "episode_return_millionths",  # actor: sum of their returns
    "episode_length",  # actor: sum of their moves
    "wait_out",  # laps in which a full ring kept a record back
    "batches",  # inference: batches run
    "batch_rows",  # inference: requests in them, one per tree
    "weights_version",  # inference: version newly served; learner: version published
    "inserted",  # replay: transitions stored
    "sampled",  # replay: positions sampled
    "stored",  # replay: transitions now in the table
    "capacity",  # replay: transitions that fit
    "refused",  # replay: transitions of records with values that cannot be
    "staleness_millionths",  # replay: sum over sampled positions of their age in weights versions
    "target_age_millionths",  # replay: the same of the search that their policy target comes from
    "handed_out",  # replay: positions in batches given to the learner
    "reanalyzed",  # replay: sampled positions that were searched again before the learner saw them
    "evicted",  # replay: positions that left the table between draw and batch
    "stale_priorities",  # replay: priorities of positions that are gone, dropped
    "priority_updates",  # replay: priorities taken in
    "insert_wait_us",  # replay: time in which actors waited for the learner (rate limiter)
    "sample_wait_us",  # replay: time in which the learner waited for actors (rate limiter)
    "reanalyze_wait_us",  # replay: time in which batches waited for reanalyzers
    "learner_wait_us",  # replay: time in which batches waited for room in the batch ring
    "journal_bytes",  # replay: bytes of the journal on disk
    "unjournaled",  # replay: transitions that the journal had to leave out
    "restored",  # replay: transitions restored from the journal
    "lost",  # replay: transitions that a kill took: played, but not restored
    "positions",  # reanalyzer: positions searched again
    "busy_us",  # reanalyzer: time with a search under way
    "targets",  # replay: targets computed
    "clipped_targets",  # learner: targets outside the support, and clipped
    "learner_steps",  # learner: training steps
    "step_ticket",  # learner: the batch that all ranks are to train on, counted from 1
    "skipped_steps",  # learner: steps skipped for a non-finite loss or gradient
    "loss_total_millionths",  # learner: sums over steps
    "loss_policy_millionths",
    "loss_value_millionths",
    "loss_reward_millionths",
    "loss_consistency_millionths",
    "value_error_millionths",  # learner: sum over steps of the batch's mean |v - z|
    "loss_steps",  # learner: steps in those sums
    "evaluations",  # evaluator: evaluations ended
    "restarts",  # how often the process was started again
    "queue_fill_millionths",  # fill of the ring that the process writes into
)
_INDEX = {name: index for index, name in enumerate(COUNTERS)}


def counters_layout(num_processes: int) -> ArrayLayout:
    """Rows of all processes of a run."""
    return ArrayLayout([Field("words", "int64", (num_processes, -(-len(COUNTERS) // 16) * 16))])


class Counters:
    """One process's row; `add` and `set` are the owner's, `get` anybody's."""

    def __init__(self, words_PC: np.ndarray, process_index: int) -> None:
        self._words = memoryview(words_PC[process_index])

    def add(self, name: str, amount: int = 1) -> None:
        """Adds to a counter."""
        self._words[_INDEX[name]] += amount

    def set(self, name: str, value: int) -> None:
        """Sets a gauge."""
        self._words[_INDEX[name]] = value

    def get(self, name: str) -> int:
        """The counter as it stands."""
        return self._words[_INDEX[name]]

    def add_fraction(self, name: str, amount: float) -> None:
        """Adds to a counter kept in millionths."""
        self._words[_INDEX[name]] += round(amount * MILLION)

    def set_fraction(self, name: str, value: float) -> None:
        """Sets a gauge kept in millionths."""
        self._words[_INDEX[name]] = round(value * MILLION)

    def lap(self, work_count: int) -> None:
        """Counts one lap of the duty cycle."""
        self._words[0] += 1
        if work_count:
            self._words[1] += 1


_NS_PER_US = 1000


class WaitClock:
    """Adds the time from one lap to the next to every counter that the first of them marked."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last_us = time.monotonic_ns() // _NS_PER_US
        self._marked: set[str] = set()

    def lap(self) -> None:
        """Begins a lap."""
        now_us = time.monotonic_ns() // _NS_PER_US
        for name in self._marked:
            self._counters.add(name, now_us - self._last_us)
        self._last_us = now_us
        self._marked.clear()

    def mark(self, name: str) -> None:
        """Counts the time until the next lap into the counter `name`, in microseconds."""
        self._marked.add(name)
