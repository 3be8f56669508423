"""The part `peek` of the case `learner`: the host's time for taking a batch of atari100k's sizes from a ring."""

import mmap
import statistics
import timeit
from pathlib import Path

import numpy as np
import torch

from mzpipe.ipc.columns import RecordLayout
from mzpipe.ipc.ring import Ring, RingWriter
from mzpipe.ipc.schema import BatchSlot
from mzpipe.ipc.segment import HEADER_BYTES, Segment
from mzpipe.learner.batches import BatchFeed

from ..rates import MZPIPE, rates_of, rows_of
from ..report import Comparison
from ..timing import Contestant
from .work import Work, make_profile, make_shape

COPY = "copying the batch"
_NUM_SLOTS, _TIMED = 4, 101


def compare_peek(work: Work, batch_size: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Compares peek and release with a copy of the batch; and notes the time of a peek."""
    case = f"learner/peek/{work.name}/{batch_size}/cpu"
    taker = Taker(work, batch_size)
    every = [Contestant(MZPIPE, taker.take), Contestant(COPY, taker.copy)]
    rows = rows_of(case, "batches/s", rates_of(every, 1.0, rounds))
    return rows, [f"{case}: {taker.nbytes / 1e6:.0f} MB a batch; peek {taker.peek_ms():.3f} ms"]


class Taker:
    """A learner's end of a batch ring whose writer commits the same batches again and again."""

    def __init__(self, work: Work, batch_size: int) -> None:
        sizes = make_shape(work, make_profile(work, batch_size, num_ranks=1)).sizes()
        layout = RecordLayout.of(BatchSlot, sizes)
        room = mmap.mmap(-1, HEADER_BYTES + Ring.payload_bytes(layout, _NUM_SLOTS))
        ring = Ring(Segment(Path("batch"), room), layout, _NUM_SLOTS)
        for payload in ring.payloads:
            payload.fill(0)
        self.nbytes = layout.nbytes
        self._writer, self._feed = RingWriter(ring), BatchFeed(ring, torch.device("cpu"))
        self._source, self._target = ring.payloads[0], np.zeros_like(ring.payloads[0])

    def take(self) -> None:
        """Commits a batch, peeks at it and releases it."""
        self._commit()
        assert self._feed.peek() is not None
        self._feed.release()

    def copy(self) -> None:
        """Copies the bytes of a batch into private memory."""
        np.copyto(self._target, self._source)

    def peek_ms(self) -> float:
        """Median milliseconds of a peek."""
        return statistics.median(self._timed_peek() for _ in range(_TIMED)) * 1e3

    def _timed_peek(self) -> float:
        self._commit()
        seconds = timeit.timeit(self._feed.peek, number=1)
        self._feed.release()
        return seconds

    def _commit(self) -> None:
        assert self._writer.claim() is not None
        self._writer.commit()
