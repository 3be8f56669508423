"""Reads one segment: its records in order and the first bad one; and judges what a bad record means.

Files are read with read(), never mapped: a disk's error is then an OSError and not the end of the process.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import InputOutputError
from ...reading import open_plain
from .format import (
    FILE_HEADER_BYTES,
    RECORD_ALIGNMENT,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    JournalLayout,
    RecordHeader,
    StoredTrajectory,
    decode_payload,
    file_version,
    parse_record_header,
    payload_bytes,
)

START_ANEW = "or move the whole directory away to start with an empty table"
_CHUNK_BYTES = 1 << 20


class Bad(NamedTuple):
    """The place where a segment stops being whole, and the reason."""

    offset: int
    why: str


def records(file: BinaryIO, layout: JournalLayout, number: int, end: int) -> Iterator[StoredTrajectory | Bad]:
    """Yields the records in the file's first `end` bytes, checked, up to the first Bad."""
    head = file.read(min(end, FILE_HEADER_BYTES))
    version = file_version(head, layout, number)
    if version is None:
        yield Bad(0, "the file header is cut off" if end < FILE_HEADER_BYTES else "the file header is damaged")
        return
    offset, last_serial = FILE_HEADER_BYTES, -1
    while offset < end:
        record, nbytes = _record(file, layout, version, offset, end)
        if isinstance(record, StoredTrajectory) and record.serial <= last_serial:
            record = Bad(offset, f"serial {record.serial} does not follow {last_serial}")
        yield record
        if isinstance(record, Bad):
            return
        offset, last_serial = offset + nbytes, record.serial


def _record(
    file: BinaryIO, layout: JournalLayout, version: int, offset: int, end: int
) -> tuple[StoredTrajectory | Bad, int]:
    """The record at the file's position, and its number of bytes."""
    if end - offset < RECORD_HEADER_BYTES:
        return Bad(offset, "a record is cut off in its header"), 0
    header = parse_record_header(file.read(RECORD_HEADER_BYTES))
    if header is None:
        return Bad(offset, "this is not a record's header"), 0
    nbytes = payload_bytes(layout, header, version)
    if nbytes is None:
        return Bad(offset, f"a record claims {header.length} transitions"), 0
    if nbytes > end - offset - RECORD_HEADER_BYTES:
        return Bad(offset, f"a record is cut off: its {header.length} transitions take {nbytes} bytes"), 0
    trajectory = decode_payload(layout, header, file.read(nbytes), version)
    if trajectory is None:
        return Bad(offset, "a record's CRC32C does not match its bytes"), 0
    return trajectory, RECORD_HEADER_BYTES + nbytes


def headers_behind(path: Path, offset: int) -> Iterator[RecordHeader]:
    """Yields every whole record header anywhere after `offset`."""
    with open_plain(path) as file:
        start = offset + RECORD_ALIGNMENT
        while chunk := _read_at(file, start, _CHUNK_BYTES + RECORD_HEADER_BYTES):
            place = chunk.find(RECORD_MAGIC)
            while 0 <= place < _CHUNK_BYTES and place + RECORD_HEADER_BYTES <= len(chunk):
                header = parse_record_header(chunk[place : place + RECORD_HEADER_BYTES])
                if header is not None and (start + place) % RECORD_ALIGNMENT == 0:
                    yield header
                place = chunk.find(RECORD_MAGIC, place + 1)
            start += _CHUNK_BYTES


def _read_at(file: BinaryIO, offset: int, nbytes: int) -> bytes:
    file.seek(offset)
    return file.read(nbytes)


def judge_tail(path: Path, bad: Bad) -> str:
    """A note on what is lost after a bad place in the last segment; raises InputOutputError if that had been safe.

    A later record that was written after a sync of the bad place (V3 of `format`) proves damage. Without one, the
    bad place was never known to be on disk: the writer or the machine stopped there.
    """
    behind = list(headers_behind(path, bad.offset))
    if any(header.synced_bytes > bad.offset for header in behind):
        raise InputOutputError(
            f"{path}, offset {bad.offset}: {bad.why}, and {len(behind)} records follow it: the file is damaged. "
            f"Restore it from a copy, {START_ANEW}"
        )
    cut = path.stat().st_size - bad.offset
    unsure = f"; {len(behind)} records in them were not yet known to be on disk" if behind else ""
    return f"{path}, offset {bad.offset}: {bad.why}: the last {cut} bytes are cut{unsure}"
