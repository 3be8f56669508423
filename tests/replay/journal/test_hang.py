"""A disk that is slow or hangs: the owner does not notice, and memory stays bounded."""

import threading
import time
import tracemalloc

import pytest

from mzpipe.replay.journal import Journal, JournalLayout, read_journal
from mzpipe.replay.journal.format import record_bytes
from mzpipe.runs.files import PrivateFileOperations
from tests.waiting import eventually

from .samples import append, assert_is_record, begin, make_record, serials_in

LIMIT_S, LET_GO_S = 0.5, 60.0
BIG = JournalLayout((84, 84), "uint8", 18)


class HangingDisk(PrivateFileOperations):
    """Hangs in one operation until it is let go."""

    def __init__(self, name):
        self.name, self.go, self.hangs = name, threading.Event(), threading.Event()

    def _pass(self, name):
        if name == self.name:
            self.hangs.set()
            assert self.go.wait(LET_GO_S)

    def write(self, descriptor, buffers):
        self._pass("write")
        return super().write(descriptor, buffers)

    def sync(self, descriptor):
        self._pass("sync")
        super().sync(descriptor)

    def rename(self, source, target):
        self._pass("rename")
        super().rename(source, target)


class TimedDisk(PrivateFileOperations):
    """Measures how long the disk has taken."""

    def __init__(self):
        self.spent_s = 0.0

    def sync(self, descriptor):
        begun = time.monotonic()
        super().sync(descriptor)
        self.spent_s += time.monotonic() - begun

    def sync_directory(self, path):
        begun = time.monotonic()
        super().sync_directory(path)
        self.spent_s += time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("name", ["write", "sync", "rename"])
def test_hanging_disk_does_not_block_its_owner_and_its_queue_is_bounded(tmp_path, name):
    disk, record, queue_bytes = HangingDisk(name), make_record(1, BIG), 1 << 20
    journal = Journal(
        tmp_path / "journal", BIG, segment_bytes=1 << 24, queue_bytes=queue_bytes, operations=disk, sync_interval_s=0.02
    )
    assert disk.hangs.wait(120)
    tracemalloc.start()
    longest_s, results = 0.0, []
    for serial in range(300):
        begun = time.monotonic()
        results.append(journal.append(serial, record, actor=0, epoch=0))
        journal.save_state({"step": serial}, {})
        journal.forget(serial)
        longest_s = max(longest_s, time.monotonic() - begun)
    held_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    fits = queue_bytes // record_bytes(BIG, 2)
    assert results == [True] * fits + [False] * (300 - fits)
    assert journal.pending_bytes <= queue_bytes and held_bytes < 1.3 * queue_bytes
    assert journal.dropped_transitions == 2 * (300 - fits)
    assert longest_s < LET_GO_S / 2  # the disk hangs until it is let go of below
    (line,) = journal.lines()
    assert "journal queue full (1 MB): the disk is too slow or hangs. Training continues" in line
    disk.go.set()
    journal.close(60.0)
    stored = list(read_journal(tmp_path / "journal").trajectories())
    assert [trajectory.serial for trajectory in stored] == list(range(fits))
    assert journal.written_transitions == 2 * fits


def test_append_waits_for_the_disk_when_the_owner_writes_itself(tmp_path):
    """Negative control of the limit above: a write on the owner's thread would be seen."""
    disk = HangingDisk("write")
    timer = threading.Timer(2 * LIMIT_S, disk.go.set)
    begun = time.monotonic()
    timer.start()
    descriptor = disk.create(tmp_path / "file")
    disk.write(descriptor, [b"x"])
    assert time.monotonic() - begun > LIMIT_S
    disk.close(descriptor)
    timer.join()


def test_close_gives_up_on_a_hanging_disk_and_says_so(tmp_path):
    disk = HangingDisk("sync")
    journal = begin(tmp_path / "journal", operations=disk)
    assert disk.hangs.wait(120)
    append(journal, 1)
    journal.close(0.05)
    (line,) = journal.lines()
    assert "has not taken the rest of the journal within 0.05 s: trajectories after -1 may be missing" in line
    disk.go.set()
    journal.close(60.0)
    assert journal.lines() == [] and serials_in(read_journal(tmp_path / "journal")) == [1]


def test_queue_that_was_full_is_mended_after_a_quiet_time_with_one_line(tmp_path):
    now_s, disk = [0.0], HangingDisk("sync")
    journal = begin(tmp_path / "journal", operations=disk, queue_bytes=400, clock=lambda: now_s[0], quiet_s=30.0)
    append(journal, 1, 2, 3, 4)
    assert len(journal.lines()) == 1
    disk.go.set()
    now_s[0] = 1.0
    assert eventually(lambda: journal.pending_bytes == 0)
    assert all(append(journal, 5)) and journal.lines() == []
    now_s[0] += 31
    assert f"keeps up again; {journal.dropped_transitions} transitions are missing" in journal.lines()[0]
    journal.close(60.0)
    assert read_journal(tmp_path / "journal").last_serial == 5


@pytest.mark.slow
@pytest.mark.alone
def test_record_is_durable_within_the_interval(tmp_path):
    disk = TimedDisk()
    journal = begin(tmp_path / "journal", sync_interval_s=2.0, operations=disk)
    append(journal, 1)
    assert eventually(lambda: journal.durable_serial == 1)
    for serial in range(2, 5):  # each record on its own, and none is synced at once
        begun, disk.spent_s = time.monotonic(), 0.0
        append(journal, serial)
        assert eventually(lambda serial=serial: journal.durable_serial == serial)
        waited_s = time.monotonic() - begun
        assert 0.8 < waited_s < 2.0 + disk.spent_s
    journal.close(60.0)


@pytest.mark.slow
@pytest.mark.alone
def test_record_is_durable_within_the_interval_while_others_keep_coming(tmp_path):
    disk = TimedDisk()
    journal = begin(tmp_path / "journal", sync_interval_s=2.0, segment_bytes=1 << 20, operations=disk)
    pause, appended_s, late_s = threading.Event(), {}, []
    for serial in range(1, 200):
        append(journal, serial)
        appended_s[serial] = time.monotonic()
        pause.wait(0.03)
        for durable in [known for known in appended_s if known <= journal.durable_serial]:
            late_s.append(time.monotonic() - appended_s.pop(durable))
    journal.close(60.0)
    assert len(late_s) > 50 and max(late_s) < 2.0 + disk.spent_s


def test_sync_records_end_the_wait_before_the_interval_does(tmp_path):
    journal = begin(tmp_path / "journal", sync_interval_s=1000.0, sync_records=4)
    append(journal, 1, 2, 3)
    assert not eventually(lambda: journal.durable_serial >= 0, 0.1)
    append(journal, 4)
    assert eventually(lambda: journal.durable_serial == 4)
    journal.close(60.0)


def test_record_that_waits_is_written_as_it_was_appended(tmp_path):
    disk = HangingDisk("sync")
    journal = begin(tmp_path / "journal", operations=disk)
    record = make_record(3)
    journal.append(3, record, actor=3, epoch=0)
    record.steps.reward[...] = 0
    disk.go.set()
    journal.close(60.0)
    (stored,) = read_journal(tmp_path / "journal").trajectories()
    assert_is_record(stored, 3)
