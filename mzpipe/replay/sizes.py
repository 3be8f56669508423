"""Sizes of the replay server's memory and disk, for the plan and for the table itself."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

import numpy as np

from ..config import ReplayConfig
from ..errors import ConfigError
from ..ipc.columns import Column, Sizes, nbytes
from ..ipc.schema import Steps
from .compressed import INDEX_BYTES_PER_STEP
from .sum_tree import sum_tree_bytes

_MIN_SEGMENT_BYTES, _MAX_SEGMENT_BYTES, _SEGMENTS_PER_TABLE = 1 << 20, 256 << 20, 16
# The sum-tree's share, rounded up.
_SAMPLER_BYTES = -(-sum_tree_bytes(1 << 20) // (1 << 20))


class StepColumns(NamedTuple):
    """Columns that the table adds to Steps, one row per transition."""

    trajectory_C: Annotated[np.ndarray, Column("int64", (), "number of the trajectory that it belongs to")]
    search_version_C: Annotated[np.ndarray, Column("int64", (), "weights version of search policy and root value")]
    # The actor's root value, later the target network's value.
    bootstrap_value_C: Annotated[np.ndarray, Column("float32", (), "what targets of earlier steps bootstrap from")]
    bootstrap_version_C: Annotated[np.ndarray, Column("int64", (), "weights version of the bootstrap value")]


class TrajectoryColumns(NamedTuple):
    """One row per trajectory: its steps [start, start + length), its end, and its neighbours."""

    start_R: Annotated[np.ndarray, Column("int64", (), "its first step")]
    length_R: Annotated[np.ndarray, Column("int32", (), "its transitions")]
    end_R: Annotated[np.ndarray, Column("int32", (), "as in Trajectory")]
    final_value_R: Annotated[np.ndarray, Column("float32", (), "as in Trajectory")]
    before_R: Annotated[np.ndarray, Column("int64", (), "number of the trajectory that it continues, or NONE")]
    after_R: Annotated[np.ndarray, Column("int64", (), "number of the one that continues it, or NONE")]
    serial_R: Annotated[np.ndarray, Column("int64", (), "its number in the journal")]


class Frames(Protocol):
    """The description of a game that GameSpec and PlaneShape share."""

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """The shape of a single frame."""

    @property
    def frame_dtype(self) -> str:
        """The dtype of a frame."""

    @property
    def num_actions(self) -> int:
        """The number of actions, A."""

    @property
    def action_size(self) -> int:
        """The numbers of an action that is a vector, or 0."""


class TableSizes(NamedTuple):
    """Numbers of transitions with a raw and with a compressed frame, and bytes of the compressed tier's arena."""

    num_raw: int
    num_compressed: int
    arena_bytes: int

    @property
    def capacity(self) -> int:
        """Transitions in all."""
        return self.num_raw + self.num_compressed


@dataclass(frozen=True)
class TableShape:
    """The dimensions of a table; compressed_bytes and compression_ratio are those of ReplayConfig."""

    capacity_bytes: int
    frame_shape: tuple[int, ...]
    frame_dtype: str
    num_actions: int
    trajectory_length: int
    compressed_bytes: int = 0
    compression_ratio: float = 1.0
    action_size: int = 0

    @classmethod
    def of(cls, replay: ReplayConfig, game: Frames, trajectory_length: int) -> "TableShape":
        """The table of a profile, for a game with these frames and actions."""
        return cls(
            capacity_bytes=replay.capacity_bytes,
            frame_shape=game.frame_shape,
            frame_dtype=game.frame_dtype,
            num_actions=game.num_actions,
            trajectory_length=trajectory_length,
            compressed_bytes=replay.compressed_bytes,
            compression_ratio=replay.compression_ratio,
            action_size=game.action_size,
        )

    def sizes(self) -> TableSizes:
        """The numbers that fit; raises ConfigError if fewer than two trajectories do."""
        per_transition = bytes_per_transition(self.frame_shape, self.frame_dtype, self.num_actions, self.action_size)
        num_raw = self.capacity_bytes // per_transition
        if num_raw < 2 * self.trajectory_length:
            raise ConfigError(
                f"replay.capacity_bytes={self.capacity_bytes}: holds {num_raw} transitions of {per_transition} bytes, "
                f"fewer than two trajectories: set it to at least {2 * self.trajectory_length * per_transition}"
            )
        frame = frame_bytes(self.frame_shape, self.frame_dtype)
        columns = per_transition - frame + INDEX_BYTES_PER_STEP
        num_compressed = int(self.compressed_bytes / (columns + frame / self.compression_ratio))
        return TableSizes(num_raw, num_compressed, self.compressed_bytes - num_compressed * columns)


def frame_bytes(frame_shape: tuple[int, ...], frame_dtype: str) -> int:
    """Bytes of one frame."""
    return int(np.prod(frame_shape)) * np.dtype(frame_dtype).itemsize


def bytes_per_transition(frame_shape: tuple[int, ...], frame_dtype: str, num_actions: int, action_size: int = 0) -> int:
    """Bytes of one transition in all columns; of the trajectory columns it has a whole row, as with length 1."""
    sizes = Sizes(num_actions=num_actions, action_size=action_size)
    columns = sum(nbytes(record, sizes) for record in (Steps, StepColumns, TrajectoryColumns))
    return frame_bytes(frame_shape, frame_dtype) + columns + _SAMPLER_BYTES


def journal_segment_bytes(capacity_bytes: int) -> int:
    """Bytes after which the journal begins another segment; old data is deleted in whole segments."""
    return min(_MAX_SEGMENT_BYTES, max(_MIN_SEGMENT_BYTES, capacity_bytes // _SEGMENTS_PER_TABLE))
