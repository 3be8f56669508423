"""Reading one segment: its records in order, the first bad one, and what a bad one means.

Everything is read with read(), never mapped: a disk's error is then an OSError and not the end of the process.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import InputOutputError
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
    """Where a segment stops being whole, and why."""

    offset: int
    why: str


def records(file: BinaryIO, layout: JournalLayout, number: int, end: int) -> Iterator[StoredTrajectory | Bad]:
    """The records in the file's first `end` bytes, checked; after the first Bad nothing follows."""
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
    """The record at the file's position, and its bytes."""
    if end - offset < RECORD_HEADER_BYTES:
        return Bad(offset, "a record is cut off in its header"), 0
    header = parse_record_header(file.read(RECORD_HEADER_BYTES))
    if header is None:
        return Bad(offset, "this is no record's header"), 0
    nbytes = payload_bytes(layout, header, version)
    if nbytes is None:
        return Bad(offset, f"a record claims {header.length} transitions"), 0
    if nbytes > end - offset - RECORD_HEADER_BYTES:
        return Bad(offset, f"a record is cut off: its {header.length} transitions take {nbytes} bytes"), 0
    trajectory = decode_payload(layout, header, file.read(nbytes), version)
    if trajectory is None:
        return Bad(offset, "a record's CRC32C is not that of its bytes"), 0
    return trajectory, RECORD_HEADER_BYTES + nbytes


def headers_behind(path: Path, offset: int) -> Iterator[RecordHeader]:
    """Every record header that stands whole somewhere behind `offset`."""
    with open(path, "rb") as file:
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
    """What is lost behind a bad place of the last segment, as a note; raises InputOutputError when it had been safe.

    A record behind it that was written after a sync of the bad place (V3 of `format`) proves damage. Without one,
    the bad place was never known to be on disk: a writer or a machine stopped there.
    """
    behind = list(headers_behind(path, bad.offset))
    if any(header.synced_bytes > bad.offset for header in behind):
        raise InputOutputError(
            f"{path}, offset {bad.offset}: {bad.why}, and {len(behind)} records stand behind it: the file is damaged. "
            f"Restore it from a copy, {START_ANEW}"
        )
    cut = path.stat().st_size - bad.offset
    unsure = f"; {len(behind)} records in them were not yet known to be on disk" if behind else ""
    return f"{path}, offset {bad.offset}: {bad.why}: the last {cut} bytes are cut{unsure}"
