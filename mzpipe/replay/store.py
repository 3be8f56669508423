"""Store: the table together with its priorities and its journal.

Shape legend    T stored trajectories   N stored transitions
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..config import ReplayConfig
from ..ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Trajectory
from .gather import Gatherer
from .journal import Journal, JournalContents
from .sampler import Sampler, priority_of_weight
from .table import Table

# A search policy is a float32 sum over at most 20,000 actions.
_SUM_TOLERANCE = 1e-2
# A journaled epoch is session * 2^32 + the actor's epoch in that session, so no two sessions share one.
_EPOCH_BITS = 32
# Serial, length and weight, at worst: when every trajectory has length 1.
STATE_BYTES_PER_TRANSITION = 8 + 4 + 4


def fault_of(record: Trajectory) -> str | None:
    """The fault of a trajectory record, with field, value and bound; None if there is none."""
    capacity, num_actions = record.steps.search_policy.shape
    length, end = int(record.length[0]), int(record.end[0])
    if not 1 <= length <= capacity:
        return f"length={length}, not in 1 .. {capacity}"
    if end not in (UNFINISHED, TERMINATED, TRUNCATED):
        return f"end={end}, not in {UNFINISHED} .. {TRUNCATED}"
    if int(record.offset[0]) < 0 or int(record.episode[0]) < 0:
        return f"offset={int(record.offset[0])}, episode={int(record.episode[0])}: one is negative"
    return _fault_of_actions(record.steps.action[:length], num_actions) or _fault_of_numbers(record, length)


def _fault_of_actions(action_N: np.ndarray, num_actions: int) -> str | None:
    if action_N.min() < 0 or action_N.max() >= num_actions:
        return f"action {action_N.min()} .. {action_N.max()}, not in 0 .. {num_actions - 1}"
    return None


def _fault_of_numbers(record: Trajectory, length: int) -> str | None:
    for name, column in zip(("frame", *record.steps._fields), (record.frame, *record.steps), strict=True):
        if column.dtype.kind == "f" and not np.isfinite(column[:length]).all():
            return f"{name} holds NaN or infinity"
    if not np.isfinite(record.final_value[0]):
        return f"final_value={record.final_value[0]}"
    policy_NA = record.steps.search_policy[:length]
    if policy_NA.min() < 0.0 or np.abs(policy_NA.sum(1) - 1.0).max() > _SUM_TOLERANCE:
        return "search_policy is not a distribution"
    return None


class Restored(NamedTuple):
    """The result of a restore: transitions that are stored now, and transitions that were ever inserted."""

    stored: int
    inserted: int


class Store:
    """Takes in trajectories, and keeps table, sampler and journal in step."""

    def __init__(
        self, table: Table, sampler: Sampler, gatherer: Gatherer, journal: Journal | None, config: ReplayConfig
    ) -> None:
        self._table, self._sampler, self._gatherer = table, sampler, gatherer
        self._journal, self._config = journal, config
        self._next_serial = self._session = 0
        self._state_due_s = 0.0
        self._newest: dict[int, tuple[int | bytes, ...]] = {}  # of each actor: the newest record that was restored
        self.inserted = 0

    def insert(self, record: Trajectory, *, actor: int, epoch: int) -> int:
        """Stores a whole record; returns its transitions."""
        epoch |= self._session << _EPOCH_BITS
        serial, self._next_serial = self._next_serial, self._next_serial + 1
        length = self._add(record, actor=actor, epoch=epoch, serial=serial)
        if self._journal is not None:
            self._journal.append(serial, record, actor=actor, epoch=epoch)
            self._journal.forget(self._table.first_serial)
        self.inserted += length
        return length

    def restore(self, contents: JournalContents, stored_one: Callable[[], None] = lambda: None) -> Restored:
        """Fills the empty table from a journal, and continues the journal's numbering.

        `stored_one` is called for every trajectory.
        """
        fields, arrays = contents.state if contents.state else ({}, {})
        priorities = _saved_priorities(fields, arrays)
        saved_serial, inserted = int(fields.get("next_serial", 0)), int(fields.get("inserted", 0))
        for trajectory in contents.trajectories():
            length = self._add(
                trajectory.record,
                actor=trajectory.actor,
                epoch=trajectory.epoch,
                serial=trajectory.serial,
                priority_N=priorities.get(trajectory.serial),
            )
            inserted += length if trajectory.serial >= saved_serial else 0
            self._next_serial = trajectory.serial + 1
            self._session = max(self._session, (trajectory.epoch >> _EPOCH_BITS) + 1)
            self._newest[trajectory.actor] = _identity(trajectory.record, trajectory.epoch)
            stored_one()
        self._next_serial = max(self._next_serial, saved_serial)
        self._session = max(self._session, int(fields.get("session", -1)) + 1)
        self._table.close_episodes()
        self.inserted = inserted
        return Restored(self._table.size, inserted)

    def has_restored(self, record: Trajectory, *, actor: int, epoch: int) -> bool:
        """Whether this is the actor's newest restored record: a killed server had stored it, but not released it."""
        newest = self._newest.pop(actor, None)
        return newest is not None and newest == _identity(record, epoch)

    def save_state_if_due(self) -> None:
        """Saves priorities and counts next to the journal, once every journal_state_s."""
        now_s = time.monotonic()
        if now_s >= self._state_due_s:
            self._state_due_s = now_s + self._config.journal_state_s
            self.save_state()

    def save_state(self) -> None:
        """Saves priorities and counts next to the journal."""
        if self._journal is None:
            return
        table, config = self._table, self._config
        rows = np.array(table.numbers(), np.int64) % table.capacity
        arrays = {"serial": table.trajectories.serial_R[rows], "length": table.trajectories.length_R[rows]}
        weight_N = self._sampler.weights(np.arange(table.tail, table.head))
        if weight_N is not None:
            arrays["weight"] = weight_N
        fields = {
            "next_serial": self._next_serial,
            "inserted": self.inserted,
            "session": self._session,
            "alpha": config.priority_alpha,
        }
        self._journal.save_state(fields, arrays)

    def _add(
        self,
        record: Trajectory,
        *,
        actor: int,
        epoch: int,
        serial: int,
        priority_N: np.ndarray | None = None,
    ) -> int:
        first_step = self._table.head
        length = self._table.insert(record, actor=actor, epoch=epoch, serial=serial)
        if priority_N is None:
            priority_N = self._first_priorities(first_step, length)
        self._sampler.insert(first_step, priority_N)
        return length

    def _first_priorities(self, first_step: int, length: int) -> np.ndarray:
        """Priorities of new transitions. In a restored table "max" begins at the greatest that was restored."""
        if self._config.initial_priority == "max":
            return np.full(length, self._sampler.greatest_priority)
        return self._gatherer.value_errors(first_step, length)


def _identity(record: Trajectory, epoch: int) -> tuple[int | bytes, ...]:
    """What no other record of an actor has; search values tell apart records of different sessions."""
    numbers = (int(array[0]) for array in (record.game, record.episode, record.offset, record.length))
    return (epoch % (1 << _EPOCH_BITS), *numbers, record.steps.root_value[: record.length[0]].tobytes())


def _saved_priorities(fields: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """|v - z| of the transitions of each trajectory in the state, by serial."""
    if "weight" not in arrays:
        return {}
    priority_N = priority_of_weight(arrays["weight"], float(fields["alpha"]))  # type: ignore[arg-type]
    # The last piece, after the last trajectory, is empty.
    pieces = np.split(priority_N, np.cumsum(arrays["length"]))[:-1]
    return dict(zip(arrays["serial"].tolist(), pieces, strict=True))
