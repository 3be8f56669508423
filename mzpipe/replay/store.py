"""Store: the table together with its priorities and its journal.

Shape legend    T stored trajectories   N stored transitions
"""

import reprlib
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..config import ReplayConfig
from ..errors import InputOutputError
from ..ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Trajectory
from .gather import Gatherer
from .journal import START_ANEW, STATE, Journal, JournalContents, JournalState
from .sampler import Sampler, priority_of_weight
from .table import Table

# A search policy is a float32 sum over at most 20,000 actions.
_SUM_TOLERANCE = 1e-2
# A journaled epoch is session * 2^32 + the actor's epoch in that session, so no two sessions share one.
_EPOCH_BITS = 32
_MAX_COUNT = 1 << 62
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
        if column is not None and column.dtype.kind == "f" and not np.isfinite(column[:length]).all():
            return f"{name} holds NaN or infinity"
    if not np.isfinite(record.final_value[0]):
        return f"final_value={record.final_value[0]}"
    sum_N = record.steps.search_policy[:length].sum(1)
    searched_N = sum_N[sum_N != 0.0]  # the policy of a capped search is zeros
    if record.steps.search_policy[:length].min() < 0.0 or np.abs(searched_N - 1.0).max(initial=0.0) > _SUM_TOLERANCE:
        return "search_policy is not a distribution"
    return None


class Restored(NamedTuple):
    """The result of a restore: transitions that are stored now, transitions that were ever inserted, and a note."""

    stored: int
    inserted: int
    note: str | None = None


class _Saved(NamedTuple):
    """A journal's state as `Store.save_state` writes it: counts, and |v - z| of each trajectory by its serial."""

    next_serial: int = 0
    inserted: int = 0
    session: int = -1
    priorities: Mapping[int, np.ndarray] = MappingProxyType({})


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

        `stored_one` is called for every trajectory. Raises InputOutputError for a record that no server takes in.
        """
        saved, note = _Saved(), None
        try:
            saved = _saved(contents.state) if contents.state else saved
        except ValueError as error:
            note = f"{contents.directory / STATE}: damaged and ignored: {error}"
        inserted = saved.inserted
        for trajectory in contents.trajectories():
            fault = fault_of(trajectory.record)
            if fault is not None:
                place = f"{contents.directory}: trajectory {trajectory.serial}"
                raise InputOutputError(f"{place}: {fault}: restore it from a copy, {START_ANEW}")
            length = self._add(
                trajectory.record,
                actor=trajectory.actor,
                epoch=trajectory.epoch,
                serial=trajectory.serial,
                priority_N=_of_length(saved.priorities.get(trajectory.serial), int(trajectory.record.length[0])),
            )
            inserted += length if trajectory.serial >= saved.next_serial else 0
            self._next_serial = trajectory.serial + 1
            self._session = max(self._session, (trajectory.epoch >> _EPOCH_BITS) + 1)
            self._newest[trajectory.actor] = _identity(trajectory.record, trajectory.epoch)
            stored_one()
        self._next_serial = max(self._next_serial, saved.next_serial)
        self._session = max(self._session, saved.session + 1)
        self._table.close_episodes()
        self.inserted = inserted
        return Restored(self._table.size, inserted, note)

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


def _saved(state: JournalState) -> _Saved:
    """A journal's state; raises ValueError for what `Store.save_state` never writes: it may be a stranger's."""
    fields, arrays = state
    for name in ("next_serial", "inserted", "session"):
        value = fields.get(name, 0)
        if type(value) is not int or not 0 <= value < _MAX_COUNT:
            raise ValueError(f"its {name} is {reprlib.repr(value)}, not a count")
    counts = {name: fields[name] for name in ("next_serial", "inserted", "session") if name in fields}
    return _Saved(**counts, priorities=_saved_priorities(fields.get("alpha"), arrays) if "weight" in arrays else {})


def _saved_priorities(alpha: object, arrays: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    if not isinstance(alpha, int | float) or not alpha > 0.0:
        raise ValueError(f"its alpha is {reprlib.repr(alpha)}, not an exponent of priorities")
    weight_N, length_R, serial_R = (arrays.get(name, np.zeros(0)) for name in ("weight", "length", "serial"))
    kinds = weight_N.dtype.kind + length_R.dtype.kind + serial_R.dtype.kind
    if (weight_N.ndim, length_R.ndim, serial_R.ndim, kinds) != (1, 1, 1, "fii") or len(length_R) != len(serial_R):
        raise ValueError("its weights, lengths and serials are not those of trajectories")
    if (np.diff(serial_R, prepend=-1) <= 0).any():
        raise ValueError("its serials do not ascend from 0 on")
    if (length_R < 0).any() or length_R.sum() != len(weight_N) or not (np.isfinite(weight_N) & (weight_N >= 0)).all():
        raise ValueError("its weights are not those of its trajectories")
    # The last piece, after the last trajectory, is empty.
    with np.errstate(over="ignore"):
        priority_N = priority_of_weight(weight_N, float(alpha))
    if not np.isfinite(priority_N).all():
        raise ValueError(f"its alpha of {alpha:g} makes infinite priorities")
    pieces = np.split(priority_N, np.cumsum(length_R))[:-1]
    return dict(zip(serial_R.tolist(), pieces, strict=True))


def _of_length(priority_N: np.ndarray | None, length: int) -> np.ndarray | None:
    return priority_N if priority_N is not None and len(priority_N) == length else None
