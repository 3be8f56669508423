"""BatchFeed on a GPU: copies that overlap with training arrive whole, and each wait and record is needed for that."""

import contextlib
import inspect
import sys
import types

import pytest
import torch

from mzpipe.ipc.columns import named
from mzpipe.ipc.ring import RingWriter
from mzpipe.learner import batches
from tests.stand_in_gpu import counted
from tests.tiny import make_plane, tiny_profile

pytestmark = pytest.mark.on_gpu
CUDA = torch.device("cuda:0")
BATCHES = 8
WHOLE = [{float(number)} for number in range(1, BATCHES + 1)]
UNORDERED = "memory that another stream uses: wait for its event before"


def mutant(lines, replacement):
    """The module with lines changed; fails if the module no longer has them once."""
    source = inspect.getsource(batches)
    assert source.count(lines) == 1, f"mend this mutant: batches.py has {lines!r} {source.count(lines)} times"
    module = types.ModuleType("mzpipe.learner.mutant_of_batches")
    module.__package__ = batches.__package__
    sys.modules[module.__name__] = module
    exec(compile(source.replace(lines, replacement), module.__name__, "exec"), vars(module))  # noqa: S102
    return module


def commit(writer, number):
    """Commits a batch that holds only this number."""
    slot = writer.claim()
    for array in named(slot).values():
        array[...] = number
    writer.commit()


def received(directory, module=batches):
    """The least number that kernels found in each part of each of BATCHES batches.

    The host does not wait for a step, and every slot that comes back is overwritten at once.
    """
    ring = make_plane(directory, tiny_profile()).batch_ring(0)
    writer, found = RingWriter(ring), []
    with contextlib.closing(module.BatchFeed(ring, CUDA)) as feed:
        for number in range(1, ring.num_slots):
            commit(writer, number)
        for number in range(BATCHES):
            commit(writer, number + ring.num_slots)
            _, batch = feed.peek()
            found.append(torch.stack([part.double().min() for part in batch if part is not None]))
            del batch
            feed.release()
        torch.cuda.synchronize()
    return [set(values.tolist()) for values in found]


def test_batch_feed_gives_the_device_every_batch_whole(tmp_path):
    assert received(tmp_path) == WHOLE


def test_batch_feed_waits_only_for_the_copy_of_a_batch_it_releases(tmp_path):
    ring = make_plane(tmp_path, tiny_profile()).batch_ring(0)
    writer = RingWriter(ring)
    for number in range(2):
        commit(writer, number)
    with contextlib.closing(batches.BatchFeed(ring, CUDA)) as feed:
        with counted() as peeked:
            feed.peek()
        with counted() as released:
            feed.release()
    assert (peeked.syncs, peeked.h2d_blocking, peeked.h2d_pageable) == (0, 0, 0)
    assert (released.syncs, released.h2d_blocking, released.h2d_pageable) == (1, 0, 0)


def test_batch_feed_that_does_not_wait_for_the_event_is_caught(tmp_path):
    without = mutant("torch.cuda.current_stream(self._device).wait_event(following.copied)", "pass")
    with pytest.raises(torch.AcceleratorError, match=UNORDERED):
        received(tmp_path, without)


def test_batch_feed_that_records_the_event_before_the_copies_is_caught(tmp_path):
    copy = "batch = load_batch(slot.unrolls, self._device)"
    record = "copied = torch.cuda.Event()", "copied.record(self._stream)"
    before, after = ("\n            ".join(lines) for lines in ((copy, *record), (*record, copy)))
    early = mutant(before, after)
    with pytest.raises(torch.AcceleratorError, match=UNORDERED):
        received(tmp_path, early)


def test_batch_feed_that_releases_a_slot_before_its_copy_has_ended_is_caught(tmp_path):
    with pytest.raises(RuntimeError, match="host memory was overwritten before the copy from it was known to have end"):
        received(tmp_path, mutant("oldest.copied.synchronize()", "pass"))


def test_batch_feed_that_does_not_record_the_use_on_another_stream_is_caught(tmp_path):
    with pytest.raises(torch.AcceleratorError, match="freed while another stream may still use it"):
        received(tmp_path, mutant("tensor.record_stream(torch.cuda.current_stream(self._device))", "pass"))


def test_batch_feed_copies_from_pageable_memory_where_the_driver_refuses_to_register_it(tmp_path):
    torch.ops.stand_in_gpu.refuse_registration(801)
    with counted() as seen:
        assert received(tmp_path) == WHOLE
    assert seen.h2d_async == 0 and seen.h2d_pageable > 0
