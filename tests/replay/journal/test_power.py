"""A power failure after any file operation: what was reported durable is there, whatever was not synced is lost."""

import errno

import pytest

from mzpipe.replay.journal import read_journal
from mzpipe.replay.journal.counts import Counts
from mzpipe.replay.journal.open_segment import OpenSegment
from mzpipe.replay.journal.segment_log import SegmentLog

from .disk import Disk
from .samples import LAYOUT, batch_of, serials_in

SERIALS = range(1, 31)


def live_through(tmp_path, disk):
    """Runs a journal and reads, after every operation, what a power failure would have left."""
    directory, counts, durable, forgotten, seen = disk.directory, Counts(), set(), 0, set()
    directory.mkdir()

    def look():
        for image in disk.images():
            key = (tuple(sorted(image.items())), frozenset(durable), forgotten)
            if key not in seen:
                seen.add(key)
                _check(tmp_path / f"image-{len(seen)}", image, {s for s in durable if s >= forgotten})

    disk.after = look
    log = SegmentLog(directory, LAYOUT, counts, segment_bytes=1200, retry_s=1.0, operations=disk)
    for serial in SERIALS:
        log.resume(serial)
        log.write(batch_of(serial), serial)
        if serial % 3 == 0:
            log.sync(serial)
            if log.open is not None and log.open.is_durable:
                durable.update(range(log.open.first_serial, log.open.synced_serial + 1))
        if serial > 20:
            forgotten = serial - 12
            log.forget(forgotten)
    log.close(40)
    look()
    return len(seen)


def _check(directory, image, durable):
    directory.mkdir()
    for name, data in image.items():
        (directory / name).write_bytes(data)
    if "manifest.json" not in image:
        assert not durable and not any(name.startswith("segment") for name in image)
        return
    contents = read_journal(directory, LAYOUT)
    assert durable <= set(serials_in(contents))


def fails_now_and_then(n, name):
    return (errno.EIO, n % 2 == 0) if n in (20, 33, 47) or (name == "sync" and n % 19 == 0) else None


@pytest.mark.slow
@pytest.mark.parametrize("fails", [lambda n, name: None, fails_now_and_then])
def test_power_failure_after_any_operation_loses_nothing_durable(tmp_path, fails):
    assert live_through(tmp_path, Disk(tmp_path / "journal", fails)) > 50


@pytest.mark.slow
@pytest.mark.parametrize("forgets", ["sync", "sync_directory"])
def test_forgotten_sync_is_found(tmp_path, forgets):
    """Negative control."""
    with pytest.raises(Exception, match=r"manifest\.json|assert"):
        live_through(tmp_path, Disk(tmp_path / "journal", forgets=forgets))


@pytest.mark.slow
def test_manifest_before_its_segment_is_found(tmp_path, monkeypatch):
    """Negative control."""
    begin = SegmentLog._begin

    def hasty(log):
        log._next_is_named = True
        log._write_manifest()
        begin(log)

    monkeypatch.setattr(SegmentLog, "_begin", hasty)
    with pytest.raises(Exception, match="missing, though"):
        live_through(tmp_path, Disk(tmp_path / "journal"))


@pytest.mark.slow
def test_file_removed_before_it_is_struck_off_is_found(tmp_path, monkeypatch):
    """Negative control."""
    forget = SegmentLog.forget

    def hasty(log, first_kept):
        log._struck_off = [entry for entry in log._closed if entry.last_serial < first_kept]
        log._remove_struck_off()
        return forget(log, first_kept)

    monkeypatch.setattr(SegmentLog, "forget", hasty)
    with pytest.raises(Exception, match="missing, though"):
        live_through(tmp_path, Disk(tmp_path / "journal"))


@pytest.mark.slow
def test_second_sync_that_is_believed_after_a_failed_one_is_found(tmp_path, monkeypatch):
    """Negative control: the tail of a failed sync is trusted because the next sync succeeds."""
    sync = OpenSegment.sync

    def trusting(segment):
        try:
            sync(segment)
        except OSError:
            segment._sync_failed = False
            sync(segment)

    monkeypatch.setattr(OpenSegment, "sync", trusting)
    with pytest.raises(Exception, match=r"assert|damaged"):
        live_through(tmp_path, Disk(tmp_path / "journal", fails_now_and_then))
