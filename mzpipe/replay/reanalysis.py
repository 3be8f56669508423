"""Reanalysis: sends positions to the reanalyzers, and stores their fresh targets in the table.

Positions wait in one queue and leave in groups, each with a ticket, for the
reanalyzer with the least to do. Groups are full, except for a reanalyzer that
would otherwise be idle. A pod's reanalyzers get none while the pod does not answer; what such a pod had got comes
back unanswered, and keeps its stored targets. Results are stored at the positions' steps, so every
later batch has them too.

Shape legend    N positions of a group
"""

from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from ..ipc.dataplane import DataPlane
from ..ipc.ring import RingReader, RingWriter
from ..ipc.roles import Role
from ..ipc.schema import FreshTargets, Positions
from ..ipc.shape import Member
from ..ipc.weights import NO_VERSION
from .frames import NONE
from .gather import Gatherer
from .table import Table


class Waiting(Protocol):
    """A batch that waits for fresh targets, with the number of its positions that are out, and that are back."""

    waiting: int
    fresh: int


class _Group(NamedTuple):
    """Positions under one ticket; `batches` has each batch that waits for some of them, and for how many."""

    step_N: np.ndarray
    bootstrap_step_N: np.ndarray
    batches: list[tuple[Waiting, int]]


class _Request(NamedTuple):
    step_N: np.ndarray
    td_steps_N: np.ndarray
    batch: Waiting


class _Worker:
    """One reanalyzer, as the replay server sees it."""

    def __init__(self, plane: DataPlane, index: int) -> None:
        self.positions = RingWriter(plane.position_ring(index))
        self.targets = RingReader(plane.target_ring(index))
        shape = plane.shape
        self.bell = plane.doorbell(shape.position_readers()[index])
        self.tickets: set[int] = set()
        pod = (index - shape.reanalyzers) // shape.pod_reanalyzers if index >= shape.reanalyzers else None
        self._pod = None if pod is None else plane.pod_row(pod)

    def is_there(self) -> bool:
        """Whether it may be given positions: its pod, if it belongs to one, answers."""
        return self._pod is None or self._pod.is_linked


class Reanalysis:
    """Keeps the reanalyzers busy with the positions that batches need."""

    def __init__(self, plane: DataPlane, table: Table, gatherer: Gatherer, first_ticket: int = 0) -> None:
        self._table, self._gatherer = table, gatherer
        self._workers = [_Worker(plane, index) for index in range(len(plane.shape.position_readers()))]
        self._counters = plane.counters(Member(Role.REPLAY, 0))
        self._needs_history = plane.shape.longest_game > 0
        self._num_trees, self._searches = plane.shape.trees_per_reanalyzer_lane, plane.shape.lanes_per_reanalyzer
        self._queue: deque[_Request] = deque()
        self._groups: dict[int, _Group] = {}
        self._next_ticket = first_ticket  # above those of a killed server, whose answers may still come

    def request(self, step_N: np.ndarray, td_steps_N: np.ndarray, batch: Waiting) -> None:
        """Queues positions; batch.waiting falls by one for each that comes back or leaves the table."""
        batch.waiting += len(step_N)
        self._queue.append(_Request(step_N, td_steps_N, batch))

    def do_work(self) -> int:
        """Takes one answer from each reanalyzer, and hands out one group."""
        return sum(self._receive(worker) for worker in self._workers) + self._send()

    def _receive(self, worker: _Worker) -> int:
        slot = worker.targets.peek()
        if slot is None:
            return 0
        ticket = int(slot.ticket[0])
        group = self._groups.pop(ticket, None)
        if group is not None:  # else a restarted reanalyzer has answered twice
            is_answer = bool(slot.search_version[0] != NO_VERSION)
            if is_answer:
                self._store(slot, group)
            else:
                self._counters.add("unanswered", len(group.step_N))
            worker.tickets.discard(ticket)
            for batch, count in group.batches:
                batch.waiting -= count
                batch.fresh += count * is_answer
        worker.targets.release()
        worker.bell.ring()
        return 1

    def _store(self, slot: FreshTargets, group: _Group) -> None:
        table, steps, added = self._table, self._table.steps, self._table.added
        stored_N = np.flatnonzero(group.step_N >= table.tail)
        rows = group.step_N[stored_N] % table.capacity
        steps.search_policy[rows] = slot.search_policy[stored_N]
        steps.root_value[rows] = slot.root_value[stored_N]
        if steps.vectors is not None and slot.candidates is not None:  # what was played stays, before the candidates
            steps.vectors[rows, -slot.candidates.shape[1] :] = slot.candidates[stored_N]
        added.search_version_C[rows] = slot.search_version[0]
        stored_N = np.flatnonzero(group.bootstrap_step_N >= table.tail)  # NONE lies before any tail
        rows = group.bootstrap_step_N[stored_N] % table.capacity
        added.bootstrap_value_C[rows] = slot.bootstrap_value[stored_N]
        added.bootstrap_version_C[rows] = slot.bootstrap_version[0]

    def _send(self) -> int:
        present = [worker for worker in self._workers if worker.is_there()]
        worker = min(present, key=lambda each: len(each.tickets), default=None)
        queued = sum(len(request.step_N) for request in self._queue)
        if worker is None or queued == 0 or (queued < self._num_trees and len(worker.tickets) >= self._searches):
            return 0
        slot = worker.positions.claim()
        if slot is None:
            return 0
        group = self._take_group()
        if len(group.step_N) == 0:
            return 1
        self._fill(slot, group)
        worker.tickets.add(self._next_ticket)
        self._groups[self._next_ticket] = group
        self._next_ticket += 1
        worker.positions.commit()
        worker.bell.ring()
        return 1

    def _take_group(self) -> _Group:
        """Takes at most a lane's positions from the queue's front; skips those that have left the table, and where the
        search needs the game before them, those of which it has left."""
        step_parts, td_parts, batches, room = [], [], [], self._num_trees
        while self._queue and room:
            step_N, td_steps_N, batch = self._queue.popleft()
            if len(step_N) > room:
                self._queue.appendleft(_Request(step_N[room:], td_steps_N[room:], batch))
            stored_N = step_N[:room] >= self._table.tail
            if self._needs_history:
                stored_N &= [
                    each and self._table.has_beginning(step) for step, each in zip(step_N, stored_N, strict=False)
                ]
            batch.waiting -= int((~stored_N).sum())
            batches.append((batch, int(stored_N.sum())))
            step_parts.append(step_N[:room][stored_N])
            td_parts.append(td_steps_N[:room][stored_N])
            room -= int(stored_N.sum())
        step_N = np.concatenate(step_parts)
        return _Group(step_N, self._gatherer.later_steps(step_N, np.concatenate(td_parts)), batches)

    def _fill(self, slot: Positions, group: _Group) -> None:
        rows = len(group.step_N)
        slot.ticket[0], slot.rows[0] = self._next_ticket, rows
        self._gatherer.stacks(group.step_N, slot.observation[:rows])
        self._gatherer.stacks(group.bootstrap_step_N, slot.bootstrap_observation[:rows])
        slot.legal_actions[:rows] = self._table.steps.legal_actions[group.step_N % self._table.capacity]
        slot.legal_actions[rows:] = True  # rows without a position are searched too; their results are not read
        if slot.history is not None:
            slot.history[:] = NONE
            for history, step in zip(slot.history, group.step_N, strict=False):
                actions = self._table.actions_before(int(step))
                history[: len(actions)] = actions
