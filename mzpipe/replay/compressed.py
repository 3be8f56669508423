"""Compressed frames: frames that left the raw array, as blocks in a circular byte arena.

    arena    | block | block | free ........ | block | block | block | skipped |
                             ^ end           ^ begin

A block lies in one piece: if it would cross the arena's end, the rest of the
arena is skipped. Positions count bytes since the start and never wrap: position p
is byte p mod capacity_bytes. Step s has row s mod max_steps of the index.

V1  The steps [tail, head) are stored, head - tail <= max_steps; their blocks follow one another in the order of steps.
V2  Live blocks lie in [begin, end): begin is where the block of step `tail` starts, and end - begin <= capacity_bytes.
V3  While nothing is stored, begin = end = a multiple of capacity_bytes, so nothing is skipped before the next block.
V4  The constructor allocates and touches all memory that the object keeps.

Shape legend    S rows of the index   N frames read   R rows of the destination   F numbers of a frame
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import zstandard

FRAMES_PER_BLOCK = 8
ZSTD_LEVEL = 3
INDEX_BYTES_PER_STEP = 8 + 4 + 1


class EncodedFrames(NamedTuple):
    """Compressed frames of consecutive steps; every block but the last has FRAMES_PER_BLOCK of them."""

    num_frames: int
    blocks: Sequence[bytes]

    @property
    def nbytes(self) -> int:
        """Compressed bytes."""
        return sum(map(len, self.blocks))


class FrameCodec:
    """Compresses frames of one shape and dtype."""

    def __init__(self, frame_shape: tuple[int, ...], frame_dtype: str) -> None:
        self.frame_shape, self.frame_dtype = tuple(frame_shape), np.dtype(frame_dtype)
        self.frame_size = int(np.prod(self.frame_shape))
        self.frame_bytes = self.frame_size * self.frame_dtype.itemsize
        if self.frame_bytes < 1:
            raise ValueError(f"frame_shape={self.frame_shape}: a frame must hold at least one number")
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def encode(self, frames: np.ndarray) -> EncodedFrames:
        """The frames [N, *frame_shape] of consecutive steps, compressed; ValueError for another shape or dtype."""
        if frames.shape[1:] != self.frame_shape or frames.dtype != self.frame_dtype:
            raise ValueError(
                f"frames are {frames.dtype} {frames.shape}: expected {self.frame_dtype} (N, {self.frame_shape})"
            )
        blocks = [
            self._compressor.compress(frames[first : first + FRAMES_PER_BLOCK].tobytes())
            for first in range(0, len(frames), FRAMES_PER_BLOCK)
        ]
        return EncodedFrames(len(frames), blocks)

    def decode(self, block: bytes | memoryview) -> np.ndarray:
        """The frames of one block as [N, F], read-only."""
        return np.frombuffer(self._decompressor.decompress(block), self.frame_dtype).reshape(-1, self.frame_size)


class StepIndex(NamedTuple):
    """Per step: the position of its block, the block's length, and the step's place among the block's frames."""

    begin_S: np.ndarray
    nbytes_S: np.ndarray
    place_S: np.ndarray


class CompressedFrames:
    """Frames of the steps [tail, head), bounded in bytes: put() refuses what does not fit, and the caller makes room.

    `capacity_bytes` bounds the arena; the index comes on top, INDEX_BYTES_PER_STEP for each of `max_steps`.

        encoded = frames.encode(new_frames)
        while not frames.fits(encoded):       # ends for all that can_hold() accepts
            frames.drop_until(step)           # the end of the oldest trajectory
        frames.put(first_step, encoded)
    """

    def __init__(self, *, capacity_bytes: int, max_steps: int, frame_shape: tuple[int, ...], frame_dtype: str) -> None:
        if capacity_bytes < 1 or max_steps < 1:
            raise ValueError(f"{capacity_bytes=}, {max_steps=}: both must be at least 1")
        self.capacity_bytes, self.max_steps = capacity_bytes, max_steps
        self.head = self.tail = 0
        self.stored_bytes = 0  # compressed bytes of the live blocks
        self._codec = FrameCodec(frame_shape, frame_dtype)
        # np.zeros would claim its pages only later, when the system might refuse them.
        self._arena = np.full(capacity_bytes, 0, np.uint8)
        self._index = StepIndex(
            np.full(max_steps, 0, np.int64), np.full(max_steps, 0, np.int32), np.full(max_steps, 0, np.uint8)
        )
        self._bytes = self._arena.data
        self._end = 0

    @property
    def nbytes(self) -> int:
        """Bytes allocated in all: the arena and the index."""
        return self._arena.nbytes + sum(column.nbytes for column in self._index)

    @property
    def ratio(self) -> float:
        """Raw bytes of the stored frames over their compressed bytes; 1 while nothing is stored."""
        raw_bytes = (self.head - self.tail) * self._codec.frame_bytes
        return raw_bytes / self.stored_bytes if self.stored_bytes else 1.0

    def encode(self, frames: np.ndarray) -> EncodedFrames:
        """The frames [N, *frame_shape] of consecutive steps, compressed; nothing is stored yet."""
        return self._codec.encode(frames)

    def can_hold(self, encoded: EncodedFrames) -> bool:
        """Whether the frames would fit if nothing else were stored."""
        return encoded.num_frames <= self.max_steps and encoded.nbytes <= self.capacity_bytes

    def fits(self, encoded: EncodedFrames) -> bool:
        """Whether put() would take the frames now."""
        _, end = self._lay_out(encoded.blocks)
        num_steps = self.head - self.tail + encoded.num_frames
        return num_steps <= self.max_steps and end - self._begin <= self.capacity_bytes

    def put(self, first_step: int, encoded: EncodedFrames) -> None:
        """Appends frames; `first_step` must be head, unless nothing is stored.

        Raises ValueError, changing nothing, for another step or when the frames do not fit.
        """
        empty = self.head == self.tail
        if first_step != self.head and not empty:
            raise ValueError(f"{first_step=} does not follow the stored steps [{self.tail}, {self.head})")
        if not self.fits(encoded):
            raise ValueError(
                f"{encoded.num_frames} frames in {encoded.nbytes} bytes do not fit: {self.head - self.tail} of "
                f"max_steps={self.max_steps} and {self._end - self._begin} of "
                f"capacity_bytes={self.capacity_bytes} are taken: drop older steps first"
            )
        begins, end = self._lay_out(encoded.blocks)
        step, stop = first_step, first_step + encoded.num_frames
        for block, begin in zip(encoded.blocks, begins, strict=True):
            self._store(block, begin, step, min(FRAMES_PER_BLOCK, stop - step))
            step += FRAMES_PER_BLOCK
        self.tail = first_step if empty else self.tail
        self.head, self._end = stop, end
        self.stored_bytes += encoded.nbytes

    def drop_until(self, step: int) -> None:
        """Forgets the steps before `step`; the bytes of a block are free when its last step is forgotten.

        Past head, everything goes and both head and tail become `step`.
        """
        if step >= self.head:
            self.head = self.tail = step
            self.stored_bytes = 0
            self._end = -(-self._end // self.capacity_bytes) * self.capacity_bytes
        elif step > self.tail:
            row = np.arange(self.tail, step + 1) % self.max_steps
            ends_block = np.diff(self._index.begin_S[row]) != 0
            self.stored_bytes -= int(self._index.nbytes_S[row[:-1]][ends_block].sum())
            self.tail = step

    def read(self, step_N: np.ndarray, out_RF: np.ndarray, row_N: np.ndarray | None = None) -> None:
        """Writes the frames of the steps, in any order and with repeats, into rows `row_N`; by default the first N.

        Each block is decompressed once. Raises IndexError for a step that is not stored
        and ValueError for a destination of the wrong shape or dtype, and then writes nothing.
        """
        self._check_read(step_N, out_RF)
        at_N = step_N % self.max_steps
        order_N = np.argsort(self._index.begin_S[at_N], kind="stable")
        at_N, row_N = at_N[order_N], order_N if row_N is None else row_N[order_N]
        place_N = self._index.place_S[at_N]
        starts = np.flatnonzero(np.diff(self._index.begin_S[at_N], prepend=-1)).tolist()
        for first, last in pairwise([*starts, len(at_N)]):
            out_RF[row_N[first:last]] = self._block(at_N[first])[place_N[first:last]]

    @property
    def _begin(self) -> int:
        return int(self._index.begin_S[self.tail % self.max_steps]) if self.tail < self.head else self._end

    def _lay_out(self, blocks: Sequence[bytes]) -> tuple[list[int], int]:
        """Positions of blocks appended now, and where the last one ends."""
        begins, end = [], self._end
        for block in blocks:
            rest = self.capacity_bytes - end % self.capacity_bytes
            begins.append(end if len(block) <= rest else end + rest)
            end = begins[-1] + len(block)
        return begins, end

    def _store(self, block: bytes, begin: int, first_step: int, num_frames: int) -> None:
        byte = begin % self.capacity_bytes
        self._bytes[byte : byte + len(block)] = block
        row = np.arange(first_step, first_step + num_frames) % self.max_steps
        self._index.begin_S[row], self._index.nbytes_S[row] = begin, len(block)
        self._index.place_S[row] = np.arange(num_frames)

    def _block(self, row: int) -> np.ndarray:
        byte = int(self._index.begin_S[row]) % self.capacity_bytes
        return self._codec.decode(self._bytes[byte : byte + int(self._index.nbytes_S[row])])

    def _check_read(self, step_N: np.ndarray, out_RF: np.ndarray) -> None:
        lost = step_N[(step_N < self.tail) | (step_N >= self.head)]
        if len(lost):
            raise IndexError(
                f"step {lost[0]} is not stored: the compressed frames are those of steps [{self.tail}, {self.head})"
            )
        codec = self._codec
        if out_RF.shape[1:] != (codec.frame_size,) or out_RF.dtype != codec.frame_dtype:
            raise ValueError(
                f"out_RF is {out_RF.dtype} {out_RF.shape}: expected {codec.frame_dtype} (R, {codec.frame_size})"
            )
