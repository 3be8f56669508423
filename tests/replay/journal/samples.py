"""Records whose every byte follows from their serial, and journals made of them."""

import shutil
from collections import deque
from pathlib import Path

import numpy as np

from mzpipe.ipc.columns import RecordLayout, Sizes, named
from mzpipe.ipc.schema import Trajectory
from mzpipe.replay.journal import Journal, JournalLayout
from mzpipe.replay.journal.format import encode_record
from mzpipe.replay.journal.open_segment import Encoded
from tests.waiting import eventually

LAYOUT = JournalLayout((2,), "float32", 3)
RECORD_LENGTH = 5


def make_record(serial: int, layout: JournalLayout = LAYOUT, length: int | None = None):
    """A trajectory record as it stands in the ring: random bytes, garbage after `length` included."""
    rng = np.random.default_rng(serial)
    fields = RecordLayout.of(Trajectory, Sizes(RECORD_LENGTH, **layout._asdict()))
    record = fields.record(bytearray(rng.bytes(fields.nbytes)))
    record.steps.legal_actions[...] = rng.random(record.steps.legal_actions.shape) < 0.5
    record.length[0] = 1 + serial % RECORD_LENGTH if length is None else length
    record.final_value[0] = serial / 8
    return record


def length_of(serial: int) -> int:
    """Transitions of make_record(serial)."""
    return 1 + serial % RECORD_LENGTH


def encoded(serial: int, now_s: float = 0.0) -> Encoded:
    """The record as the journal's thread gets it."""
    buffer = encode_record(LAYOUT, serial, make_record(serial), actor=serial % 7, epoch=serial % 3)
    return Encoded(buffer, serial, length_of(serial), now_s)


def batch_of(*serials: int) -> deque:
    """Several records, as one batch."""
    return deque(encoded(serial) for serial in serials)


def assert_is_record(stored, serial: int, layout: JournalLayout = LAYOUT, length: int | None = None) -> None:
    """Asserts that every byte is that of make_record(serial)."""
    record = make_record(serial, layout, length)
    count = int(record.length[0])
    assert stored.serial == serial
    assert (stored.actor, stored.epoch) == (serial % 7, serial % 3)
    found = named(stored.record)
    for name, array in named(record).items():
        is_column = len(array) == RECORD_LENGTH
        if is_column:
            assert found[name].dtype == array.dtype
            assert found[name].shape == array[:count].shape
            assert found[name].tobytes() == array[:count].tobytes()
        else:
            assert found[name] == array


def serials_in(contents) -> list[int]:
    """Serials of all trajectories, each checked byte by byte."""
    serials = []
    for stored in contents.trajectories():
        assert_is_record(stored, stored.serial)
        serials.append(stored.serial)
    return serials


def append(journal: Journal, *serials: int) -> list[bool]:
    """Appends the records of these serials."""
    return [journal.append(serial, make_record(serial), actor=serial % 7, epoch=serial % 3) for serial in serials]


def begin(directory: Path, **options) -> Journal:
    """A journal with small segments and quick retries."""
    options = {"segment_bytes": 2000, "sync_interval_s": 0.02, "retry_s": 0.02, **options}
    return Journal(directory, LAYOUT, **options)


def closed_journal(directory: Path, count: int = 40) -> Path:
    """Serials 1 to `count` in several segments, ended in order."""
    journal = begin(directory)
    append(journal, *range(1, count + 1))
    journal.save_state({"steps": 7}, {"serial": np.arange(3), "priority": np.ones(3, np.float32)})
    assert journal.close(60.0)
    assert journal.dropped_transitions == 0
    return directory


def killed_journal(directory: Path, count: int = 40, per_sync: int = 4) -> Path:
    """The same as a kill leaves it: everything on disk, the last segment open, a sync every `per_sync` records."""
    working = directory.with_name("working")
    journal = begin(working, segment_bytes=4000)
    for first in range(1, count + 1, per_sync):
        last = min(first + per_sync - 1, count)
        append(journal, *range(first, last + 1))
        assert eventually(lambda last=last: journal.durable_serial == last)
    shutil.copytree(working, directory)
    journal.close(60.0)
    return directory


def segment_paths(directory: Path) -> list[Path]:
    """Segment files, oldest first."""
    return sorted(directory.glob("segment-*.mzj"))
