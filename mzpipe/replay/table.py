"""Table: keeps the newest transitions in preallocated circular arrays, as whole trajectories.

Step s (counted since the start, from `first_step` on) lives in row s mod C of every column;
trajectory j lives in row j mod R of `trajectories`. Trajectories of one episode are linked
by absolute number, so targets cross their borders.

V1  The steps [tail, head) are stored, head - tail <= C, and tail is the first step of a stored trajectory.
V2  A link names a trajectory that is stored, or NONE (removal cuts links to what it removes).
V3  Linked trajectories follow each other without a gap: the first one's offset + length is the next one's offset.

Shape legend    C transitions   R trajectories   A actions   N any number of rows
"""

import numpy as np

from ..ipc.columns import Sizes, allocate
from ..ipc.schema import UNFINISHED, Steps, Trajectory
from .compressed import CompressedFrames
from .frames import NONE, FrameStore, two_parts
from .sizes import StepColumns, TableShape, TrajectoryColumns

EpisodeKey = tuple[int, int, int, int]


class Table:
    """Holds as much as fits; the oldest trajectories are removed first, their frames compressed before that.

    A table that follows a lost one begins at a step above all of that one's, so that keys of lost positions are known.
    """

    def __init__(self, shape: TableShape, first_step: int = 0) -> None:
        sizes = shape.sizes()
        tier = None
        if sizes.num_compressed:
            tier = CompressedFrames(
                capacity_bytes=sizes.arena_bytes,
                max_steps=sizes.num_compressed,
                frame_shape=shape.frame_shape,
                frame_dtype=shape.frame_dtype,
            )
        self.capacity = sizes.capacity
        self.frames = FrameStore(sizes.num_raw, shape.frame_shape, shape.frame_dtype, tier)
        # As recorded, except search policy, candidates and root value: those of the position's latest search.
        self.steps = allocate(Steps, Sizes(num_actions=shape.num_actions, action_size=shape.action_size), self.capacity)
        self.added = allocate(StepColumns, Sizes(), self.capacity)
        self.trajectories = allocate(TrajectoryColumns, Sizes(), self.capacity)
        self.head = self.tail = self.frames.raw_tail = first_step
        self._first = self._next = 0  # numbers of the oldest trajectory and of the next one
        # The last trajectory of each unfinished episode, with the offset of the one that would continue it.
        self._open: dict[EpisodeKey, tuple[int, int]] = {}
        self._key_of: dict[int, EpisodeKey] = {}
        # Trajectories that continue one that is not stored.
        self._headless: set[int] = set()

    @property
    def size(self) -> int:
        """Stored transitions."""
        return self.head - self.tail

    @property
    def first_serial(self) -> int:
        """Journal number of the oldest stored trajectory; the table must not be empty."""
        return int(self.trajectories.serial_R[self._first % self.capacity])

    def numbers(self) -> range:
        """Numbers of the stored trajectories, oldest first."""
        return range(self._first, self._next)

    def step_at(self, place_N: np.ndarray) -> np.ndarray:
        """The stored steps in these rows."""
        newest = self.head - 1
        step_N = newest - newest % self.capacity + place_N
        return np.where(step_N <= newest, step_N, step_N - self.capacity)

    def has_beginning(self, step: int) -> bool:
        """Whether the whole episode before this stored step is stored."""
        number = int(self.added.trajectory_C[step % self.capacity])
        while (before := int(self.trajectories.before_R[number % self.capacity])) != NONE:
            number = before
        return number not in self._headless

    def actions_before(self, step: int) -> np.ndarray:
        """The episode's actions before this stored step, as far as they are stored."""
        columns, parts = self.trajectories, []
        number = int(self.added.trajectory_C[step % self.capacity])
        while number != NONE:
            row = number % self.capacity
            first, length = int(columns.start_R[row]), int(columns.length_R[row])
            parts.append(self.steps.action[np.arange(first, min(step, first + length)) % self.capacity])
            number = int(columns.before_R[row])
        return np.concatenate(parts[::-1])

    def insert(self, record: Trajectory, *, actor: int, epoch: int, serial: int = 0) -> int:
        """Stores one trajectory record and returns its number of transitions."""
        length = int(record.length[0])
        self._make_room(length)
        self.frames.write(self.head, record.frame[:length])
        for rows, part in two_parts(self.head, length, self.capacity):
            for column, values in zip(self.steps, record.steps, strict=True):
                if column is not None and values is not None:
                    column[rows] = values[part]
            added, version = self.added, record.steps.weights_version[part]
            added.trajectory_C[rows] = self._next
            added.search_version_C[rows] = added.bootstrap_version_C[rows] = version
            added.bootstrap_value_C[rows] = record.steps.root_value[part]
        self._add_trajectory(record, (actor, epoch, int(record.game[0]), int(record.episode[0])), serial)
        self.head += length
        return length

    def close_episodes(self) -> None:
        """Links no later trajectory to the stored ones: their games are over."""
        self._open.clear()
        self._key_of.clear()

    def _make_room(self, length: int) -> None:
        while self.size + length > self.capacity:
            self._remove_oldest()
        while self.head + length - self.frames.raw_tail > self.frames.num_raw:
            self._compress_oldest()

    def _compress_oldest(self) -> None:
        """Moves the frames of the oldest raw trajectory into the tier; if they cannot fit, removes all up to it."""
        frames, tier = self.frames, self.frames.tier
        assert tier is not None  # without a tier all frames are raw, and removal has made the room
        number = self.added.trajectory_C[frames.raw_tail % self.capacity]
        length = int(self.trajectories.length_R[number % self.capacity])
        encoded = tier.encode(frames.raw(frames.raw_tail, length))
        next_tail = frames.raw_tail + length
        while self.tail < next_tail and not (tier.can_hold(encoded) and tier.fits(encoded)):
            self._remove_oldest()
        if self.tail < next_tail:
            tier.put(frames.raw_tail, encoded)
        frames.raw_tail = next_tail

    def _add_trajectory(self, record: Trajectory, key: EpisodeKey, serial: int) -> None:
        number, columns = self._next, self.trajectories
        row, offset, length = number % self.capacity, int(record.offset[0]), int(record.length[0])
        before = self._pop_open(key, offset)
        columns.start_R[row], columns.length_R[row] = self.head, length
        columns.end_R[row], columns.final_value_R[row] = record.end[0], record.final_value[0]
        columns.before_R[row], columns.after_R[row] = before, NONE
        columns.serial_R[row] = serial
        if before != NONE:
            columns.after_R[before % self.capacity] = number
        elif offset:
            self._headless.add(number)
        if record.end[0] == UNFINISHED:
            self._open[key] = (number, offset + length)
            self._key_of[number] = key
        self._next += 1

    def _pop_open(self, key: EpisodeKey, offset: int) -> int:
        """The trajectory that this one continues; NONE if there is none, or a record between them was lost."""
        number, next_offset = self._open.pop(key, (NONE, offset))
        self._key_of.pop(number, None)
        return number if next_offset == offset else NONE

    def _remove_oldest(self) -> None:
        row = self._first % self.capacity
        after = self.trajectories.after_R[row]
        if after != NONE:
            self.trajectories.before_R[after % self.capacity] = NONE
            self._headless.add(int(after))
        self._headless.discard(self._first)
        key = self._key_of.pop(self._first, None)
        if key is not None:
            del self._open[key]
        self.tail += int(self.trajectories.length_R[row])
        self.frames.drop_until(self.tail)
        self._first += 1
