"""A disk that refuses, at each possible step: no error for the owner, exact counts, and the journal continues."""

import errno

import numpy as np
import pytest

from mzpipe.errors import MzpipeError
from mzpipe.replay.journal import read_journal
from mzpipe.replay.journal.counts import Counts
from mzpipe.replay.journal.open_segment import OpenSegment
from mzpipe.replay.journal.segment_log import SegmentLog
from mzpipe.replay.journal.state import encode_state
from tests.waiting import eventually

from .disk import NAMES, Disk, FullDisk
from .samples import LAYOUT, append, batch_of, begin, length_of, segment_paths, serials_in

SERIALS = range(1, 31)
STATE = encode_state({"step": 1}, {"serial": np.arange(4)})


def run(directory, disk, counts=None, watch=lambda log: None):
    """One life of a journal, each step a second after the one before."""
    directory.mkdir()
    counts = counts or Counts()
    log = SegmentLog(directory, LAYOUT, counts, segment_bytes=1200, retry_s=1.0, operations=disk)
    for serial in SERIALS:
        log.resume(serial)
        log.write(batch_of(serial), serial)
        if serial % 3 == 0:
            log.sync(serial)
        if serial % 10 == 0:
            log.save_state(STATE)
        log.forget(serial - 12)
        watch(log)
    log.resume(40)
    log.forget(18)
    log.close(40)
    return counts


def check(directory, counts):
    """Counts and files agree."""
    contents = read_journal(directory, LAYOUT)
    serials = serials_in(contents)
    assert counts.written_transitions + counts.dropped_transitions == sum(map(length_of, SERIALS))
    kept = {serial for serial in SERIALS if serial >= 18}
    missing = sum(length_of(serial) for serial in kept - set(serials))
    assert missing <= counts.dropped_transitions
    assert not serials or counts.durable_serial <= max(serials)
    return contents


def test_life_without_failures_drops_nothing(tmp_path):
    counts = run(tmp_path / "journal", Disk(tmp_path / "journal"))
    contents = check(tmp_path / "journal", counts)
    assert counts.dropped_transitions == 0 and not counts.lines and contents.notes == []
    assert contents.state.fields == {"step": 1}


@pytest.mark.slow
@pytest.mark.parametrize("takes_effect", [False, True])
@pytest.mark.parametrize("repeated", [1, 7, 60])
@pytest.mark.parametrize("name", NAMES)
def test_failure_of_any_operation_any_number_of_times_is_survived(tmp_path, name, repeated, takes_effect):
    quiet = Disk(tmp_path / "quiet")
    run(tmp_path / "quiet", quiet)
    places = [n for n, called in enumerate(quiet.calls) if called == name or name == "truncate"]
    for at in places[:: 1 if repeated == 1 else 4]:
        directory = tmp_path / f"{name}-{at}"

        def fails(n, called, at=at):
            hit = at <= n < at + repeated and (called == name or repeated > 1)
            return (errno.ENOSPC, takes_effect) if hit or (name == "truncate" and called == name) else None

        counts = run(directory, Disk(directory, fails))
        check(directory, counts)
        begun, ended = ([line for line in counts.lines if part in line] for part in ("suspended", "continues;"))
        assert len(ended) <= len(begun) <= len(ended) + 1
        assert bool(begun) or counts.dropped_transitions == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EIO, errno.EDQUOT, errno.EROFS])
def test_other_errors_are_survived_alike(tmp_path, number):
    for at in range(0, 80, 3):
        directory = tmp_path / f"{at}"
        disk = Disk(directory, lambda n, called, at=at: (number, False) if at <= n < at + 5 else None)
        counts = run(directory, disk)
        check(directory, counts)


def test_whole_records_before_a_failed_write_are_saved(tmp_path):
    disk = FullDisk(2000)
    (tmp_path / "journal").mkdir()
    counts = Counts()
    log = SegmentLog(tmp_path / "journal", LAYOUT, counts, segment_bytes=9999, retry_s=1.0, operations=disk)
    log.resume(0.0)
    log.write(batch_of(*range(1, 20)), 0.0)
    assert log.suspended and counts.written_transitions > 0 and counts.dropped_transitions > 0
    saved = serials_in(read_journal(tmp_path / "journal"))
    assert sum(map(length_of, saved)) == counts.written_transitions
    assert read_journal(tmp_path / "journal").notes == []


def test_journal_killed_while_suspended_with_a_torn_segment_can_be_read(tmp_path):
    """The tail could not even be cut off: the manifest marks it later; until then its segment is the last one."""
    directory = tmp_path / "journal"
    torn = 0

    def watch(log):
        nonlocal torn
        contents = read_journal(directory, LAYOUT)
        serials_in(contents)
        torn += any("cut" in note for note in contents.notes)

    def fails(n, name):
        if name == "truncate":
            return errno.EIO, False
        return (errno.EIO, True) if name == "write" and n % 5 == 0 else None

    check(directory, run(directory, Disk(directory, fails), watch=watch))
    assert torn > 1
    assert any(entry.torn for entry in read_journal(directory).segments)


def test_earlier_segment_with_a_torn_tail_is_refused_when_it_is_not_marked(tmp_path, monkeypatch):
    """Negative control of the test above."""
    entry = OpenSegment.entry
    monkeypatch.setattr(OpenSegment, "entry", lambda segment, torn: entry(segment, torn=False))
    with pytest.raises(Exception, match=r"manifest\.json says"):
        test_journal_killed_while_suspended_with_a_torn_segment_can_be_read(tmp_path)


def test_full_disk_is_two_lines_and_exact_counts_however_many_records_it_refuses(tmp_path):
    disk = FullDisk(4000)
    journal = begin(tmp_path / "journal", operations=disk)
    results = append(journal, *range(1, 21))
    assert eventually(lambda: journal.suspended)
    results += append(journal, *range(21, 60))
    assert not any(results[-10:])
    (line,) = journal.lines()
    assert f"{tmp_path / 'journal'}: journal suspended: No space left on device" in line
    assert "Training continues without a journal" in line and "0.00 GB are free there; tried again every 0.02 s" in line
    assert journal.lines() == []
    disk.room = 1e9
    assert eventually(lambda: not journal.suspended)
    assert all(append(journal, *range(60, 70)))
    journal.close(60.0)
    (line,) = journal.lines()
    assert f"the journal continues; {journal.dropped_transitions} transitions are missing from it" in line
    serials = serials_in(read_journal(tmp_path / "journal"))
    assert serials[-10:] == list(range(60, 70))
    assert journal.written_transitions == sum(map(length_of, serials))
    assert journal.written_transitions + journal.dropped_transitions == sum(map(length_of, range(1, 70)))


def test_disk_that_is_full_for_long_leaves_no_heap_of_empty_segments(tmp_path):
    disk = FullDisk(4000)
    journal = begin(tmp_path / "journal", operations=disk, retry_s=0.001)
    append(journal, *range(1, 21))
    assert eventually(lambda: journal.suspended)
    before, serial = len(segment_paths(tmp_path / "journal")), 21

    def begins():
        if journal.suspended:
            disk.room = 900  # a header and a manifest fit
        return not journal.suspended

    for _ in range(50):
        assert eventually(begins)
        disk.room = 0  # no record does
        append(journal, serial)
        serial += 1
        assert eventually(lambda: journal.suspended)
    journal.close(60.0)
    assert len(segment_paths(tmp_path / "journal")) <= before + 2
    read_journal(tmp_path / "journal")


def test_state_that_cannot_be_saved_leaves_the_former_one_and_the_journal_alone(tmp_path):
    failing = []
    disk = Disk(tmp_path / "journal", lambda n, name: (errno.ENOSPC, False) if failing and name == "rename" else None)
    journal = begin(tmp_path / "journal", operations=disk, segment_bytes=10**6)
    append(journal, 1)
    journal.save_state({"step": 1}, {})
    assert eventually(lambda: journal.durable_serial == 1 and (tmp_path / "journal" / "state.mzs").exists())
    failing.append(True)
    journal.save_state({"step": 2}, {})
    assert eventually(lambda: any("state.mzs: cannot be saved: No space left" in line for line in journal.lines()))
    assert all(append(journal, 2)) and not journal.suspended
    assert read_journal(tmp_path / "journal").state.fields == {"step": 1}
    failing.clear()
    journal.save_state({"step": 3}, {})
    journal.close(60.0)
    assert read_journal(tmp_path / "journal").state.fields == {"step": 3}
    assert ["saved again" in line for line in journal.lines()] == [True]


def test_unexpected_error_in_the_thread_is_raised_in_the_owners_next_call(tmp_path, monkeypatch):
    def broken(log, batch, now_s):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(SegmentLog, "write", broken)
    journal = begin(tmp_path / "journal")
    append(journal, 1)

    def raises():
        try:
            journal.lines()
        except MzpipeError as error:
            return "the journal's thread failed: ZeroDivisionError('planted')" in str(error)

    assert eventually(raises)
    for call in (lambda: append(journal, 2), lambda: journal.forget(1), lambda: journal.close(1.0)):
        with pytest.raises(MzpipeError, match="planted"):
            call()
