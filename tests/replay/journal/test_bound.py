"""The bound that the plan uses holds for a journal that rolls on."""

import contextlib

import pytest

from mzpipe.replay.journal import journal_bytes_bound
from mzpipe.replay.journal.format import record_bytes
from tests.waiting import eventually

from .samples import LAYOUT, RECORD_LENGTH, append, begin, length_of


@pytest.mark.parametrize("segment_bytes", [10, 600, 3000])
def test_journal_stays_below_its_bound(tmp_path, segment_bytes):
    transitions = 60
    bound = journal_bytes_bound(
        LAYOUT, transitions=transitions, trajectory_length=RECORD_LENGTH, segment_bytes=segment_bytes, state_bytes=0
    )
    journal = begin(tmp_path / "journal", segment_bytes=segment_bytes, sync_interval_s=0.002)
    stored, held, largest = [], 0, 0
    for serial in range(200):
        append(journal, serial)
        stored.append(serial)
        while sum(map(length_of, stored)) > transitions:
            stored.pop(0)
        journal.forget(stored[0])
        if serial % 5 == 0:
            assert eventually(lambda serial=serial: journal.durable_serial == serial)
            held = max(held, sum(record_bytes(LAYOUT, length_of(each)) for each in stored))
            with contextlib.suppress(FileNotFoundError):  # a file is being deleted
                files = sum(path.stat().st_size for path in (tmp_path / "journal").iterdir())
                largest = max(largest, files, journal.bytes_on_disk)
    journal.close(60.0)
    assert held < largest < bound
    assert bound < 12 * held  # not needlessly wide: it assumes a record per transition, and these records hold three
