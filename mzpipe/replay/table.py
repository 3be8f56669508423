"""Table: the newest transitions in preallocated circular arrays, by whole trajectories.

Step s (counted since the start) lives in row s mod C of every column; trajectory
j lives in row j mod R of `trajectories`. Trajectories of one episode are linked
by absolute number, so targets cross their borders.

V1  The steps [tail, head) are stored, head - tail <= C, and tail is the first step of a stored trajectory.
V2  A link names a trajectory that is stored, or NONE (remove() cuts links to what it removes).

Shape legend    C transitions   R trajectories   A actions
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..ipc.slots import UNFINISHED

NONE = -1


class StepColumns(NamedTuple):
    """One row per transition."""

    frame_C: np.ndarray
    action_C: np.ndarray
    reward_C: np.ndarray
    root_value_C: np.ndarray
    search_policy_CA: np.ndarray
    weights_version_C: np.ndarray
    trajectory_C: np.ndarray


class TrajectoryColumns(NamedTuple):
    """One row per trajectory: [start, start + length) in steps, what ends it, and its neighbours."""

    start_R: np.ndarray
    length_R: np.ndarray
    end_R: np.ndarray
    final_value_R: np.ndarray
    before_R: np.ndarray
    after_R: np.ndarray


EpisodeKey = tuple[int, int, int, int]


class Table:
    """Holds what fits into capacity_bytes; storing more removes the oldest trajectories first."""

    def __init__(
        self,
        *,
        capacity_bytes: int,
        frame_shape: tuple[int, ...],
        frame_dtype: str,
        num_actions: int,
        trajectory_length: int,
    ) -> None:
        per_transition = bytes_per_transition(frame_shape, frame_dtype, num_actions)
        self.capacity = capacity_bytes // per_transition
        if self.capacity < 2 * trajectory_length:
            raise ConfigError(
                f"replay.capacity_bytes={capacity_bytes}: holds {self.capacity} transitions of {per_transition} bytes, "
                f"fewer than two trajectories: set it to at least {2 * trajectory_length * per_transition}"
            )
        self.steps = StepColumns(
            frame_C=np.zeros((self.capacity, *frame_shape), frame_dtype),
            action_C=np.zeros(self.capacity, np.int32),
            reward_C=np.zeros(self.capacity, np.float32),
            root_value_C=np.zeros(self.capacity, np.float32),
            search_policy_CA=np.zeros((self.capacity, num_actions), np.float32),
            weights_version_C=np.zeros(self.capacity, np.int64),
            trajectory_C=np.zeros(self.capacity, np.int64),
        )
        self.trajectories = TrajectoryColumns(
            start_R=np.zeros(self.capacity, np.int64),
            length_R=np.zeros(self.capacity, np.int32),
            end_R=np.zeros(self.capacity, np.int32),
            final_value_R=np.zeros(self.capacity, np.float32),
            before_R=np.full(self.capacity, NONE, np.int64),
            after_R=np.full(self.capacity, NONE, np.int64),
        )
        self.head = self.tail = 0
        self._first = self._next = 0  # numbers of the oldest trajectory and of the one to come
        self._open: dict[EpisodeKey, int] = {}  # last trajectory of each unfinished episode
        self._key_of: dict[int, EpisodeKey] = {}

    @property
    def size(self) -> int:
        """Stored transitions."""
        return self.head - self.tail

    def insert(self, record: Mapping[str, np.ndarray], *, actor: int, epoch: int) -> int:
        """Stores one trajectory record and returns its number of transitions."""
        length = int(record["length"][0])
        while self.size + length > self.capacity:
            self._remove_oldest()
        rows = np.arange(self.head, self.head + length) % self.capacity
        self.steps.frame_C[rows] = record["frame"][:length]
        self.steps.action_C[rows] = record["action"][:length]
        self.steps.reward_C[rows] = record["reward"][:length]
        self.steps.root_value_C[rows] = record["root_value"][:length]
        self.steps.search_policy_CA[rows] = record["search_policy"][:length]
        self.steps.weights_version_C[rows] = record["weights_version"][:length]
        self.steps.trajectory_C[rows] = self._next
        self._add_trajectory(record, (actor, epoch, int(record["game"][0]), int(record["episode"][0])))
        self.head += length
        return length

    def _add_trajectory(self, record: Mapping[str, np.ndarray], key: EpisodeKey) -> None:
        number, columns = self._next, self.trajectories
        row = number % self.capacity
        before = self._open.pop(key, NONE)
        self._key_of.pop(before, None)
        columns.start_R[row], columns.length_R[row] = self.head, record["length"][0]
        columns.end_R[row], columns.final_value_R[row] = record["end"][0], record["final_value"][0]
        columns.before_R[row], columns.after_R[row] = before, NONE
        if before != NONE:
            columns.after_R[before % self.capacity] = number
        if record["end"][0] == UNFINISHED:
            self._open[key] = number
            self._key_of[number] = key
        self._next += 1

    def _remove_oldest(self) -> None:
        row = self._first % self.capacity
        after = self.trajectories.after_R[row]
        if after != NONE:
            self.trajectories.before_R[after % self.capacity] = NONE
        key = self._key_of.pop(self._first, None)
        if key is not None:
            del self._open[key]
        self.tail += int(self.trajectories.length_R[row])
        self._first += 1


def bytes_per_transition(frame_shape: tuple[int, ...], frame_dtype: str, num_actions: int) -> int:
    """Bytes of one transition in all columns, with its share of the trajectory columns at worst (length 1)."""
    frame = int(np.prod(frame_shape)) * np.dtype(frame_dtype).itemsize
    step = 3 * 4 + 4 * num_actions + 2 * 8
    trajectory = 3 * 8 + 3 * 4
    return frame + step + trajectory
