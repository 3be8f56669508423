"""read_journal: reads a journal's directory, and checks it as far as needed before a table is filled.

It checks at once the manifest, the size and header of every segment, all of the last segment, and the state. Records
of the other segments are checked while trajectories() streams. What follows from each finding:

    manifest missing, damaged, of another layout; a named segment missing, too short, or too long unless torn;
    a bad record that had been on disk for certain; an unnamed segment with records;
    an open segment of more bytes than any has                                          InputOutputError
    the open segment ends in bytes that were never known to be on disk                  cut, with a note
    an unnamed segment that is older than all named ones (it was being deleted), or
    without records (it was being begun); drafts                                        removed by repair(), with a note
    state damaged                                                                       a note, no state
"""

import os
from pathlib import Path

from ...errors import InputOutputError
from ...reading import open_plain, read_file
from .contents import JournalContents
from .format import FILE_HEADER_BYTES, MAX_PAYLOAD_BYTES, JournalLayout, file_version
from .manifest import MANIFEST, MAX_MANIFEST_BYTES, NONE, Manifest, SegmentEntry, decode_manifest, segment_files
from .scan import START_ANEW, Bad, judge_tail, records
from .state import MAX_STATE_BYTES, STATE, JournalState, decode_state

# No segment is longer, and none that has one record only; what follows the whole records is searched to its end.
_MAX_OPEN_BYTES = 2 * MAX_PAYLOAD_BYTES


def has_journal(directory: Path) -> bool:
    """Whether the directory has a manifest, a state or a segment, to read or to refuse; raises InputOutputError."""
    try:
        if not directory.exists():
            if os.path.lexists(directory):
                raise InputOutputError(f"{directory}: leads to no directory: remove it, or restore what it leads to")
            return False
        return any((directory / name).exists() for name in (MANIFEST, STATE)) or bool(segment_files(directory))
    except OSError as error:
        raise InputOutputError(f"{directory}: cannot be read: {error.strerror}") from error


def has_records(directory: Path) -> bool:
    """Whether a journal holds any records, which are not checked; raises InputOutputError."""
    try:
        segments = segment_files(directory).values() if directory.is_dir() else ()
        return any(path.stat().st_size > FILE_HEADER_BYTES for path in segments)
    except OSError as error:
        raise InputOutputError(f"{directory}: cannot be read: {error.strerror}") from error


def read_journal(directory: Path, expected: JournalLayout | None = None) -> JournalContents:
    """The journal in a directory; raises InputOutputError with file, offset and what to do.

    With `expected`, a journal of another layout is refused. Changes nothing on disk.
    """
    try:
        return _Reading(directory, expected).contents()
    except OSError as error:
        raise InputOutputError(f"{error.filename or directory}: cannot be read: {error.strerror}") from error


class _Reading:
    """One pass over the directory."""

    def __init__(self, directory: Path, expected: JournalLayout | None) -> None:
        self._directory = directory
        self._notes: list[str] = []
        self._cuts: dict[Path, int] = {}
        self._manifest = _read_manifest(directory / MANIFEST, expected)
        self._files = segment_files(directory)

    def contents(self) -> JournalContents:
        segments = tuple(self._checked(entry) for entry in self._manifest.segments)
        leftovers = [*self._unnamed(), *self._directory.glob(".*.new")]
        state, state_bytes = self._state()
        return JournalContents(
            self._directory,
            self._manifest.layout,
            segments,
            state=state,
            state_bytes=state_bytes,
            notes=self._notes,
            next_segment_number=max([*self._files, 0]) + 1,
            cuts=self._cuts,
            leftovers=leftovers,
        )

    def _checked(self, entry: SegmentEntry) -> SegmentEntry:
        path = self._directory / entry.name
        if entry.number not in self._files:
            raise InputOutputError(f"{path}: missing, though {MANIFEST} names it: restore it from a copy, {START_ANEW}")
        nbytes = path.stat().st_size
        if entry.bytes is None:
            return self._scanned(entry, nbytes)
        if nbytes < entry.bytes or (nbytes > entry.bytes and not entry.torn):
            raise InputOutputError(
                f"{path}, offset {min(nbytes, entry.bytes)}: has {nbytes} bytes, {MANIFEST} says {entry.bytes}: "
                f"restore it from a copy, {START_ANEW}"
            )
        if nbytes > entry.bytes:
            self._cuts[path] = entry.bytes
            self._notes.append(f"{path}, offset {entry.bytes}: {nbytes - entry.bytes} bytes of a failed write are cut")
        _check_header(path, self._manifest.layout, entry.number)
        return entry

    def _scanned(self, entry: SegmentEntry, nbytes: int) -> SegmentEntry:
        """The entry of the open segment, as far as it is whole."""
        path, first, last = self._directory / entry.name, NONE, NONE
        if nbytes > _MAX_OPEN_BYTES:
            raise InputOutputError(
                f"{path}: {nbytes} bytes, at most {_MAX_OPEN_BYTES}: restore it from a copy, {START_ANEW}"
            )
        with open_plain(path, buffering=1 << 20) as file:
            for record in records(file, self._manifest.layout, entry.number, nbytes):
                if isinstance(record, Bad):
                    self._notes.append(judge_tail(path, record))
                    self._cuts[path] = nbytes = record.offset
                    break
                first, last = (record.serial if first == NONE else first), record.serial
        return SegmentEntry(entry.number, nbytes, first, last)

    def _unnamed(self) -> list[Path]:
        named = [entry.number for entry in self._manifest.segments]
        unnamed = [number for number in self._files if number not in named]
        for number in unnamed:
            path = self._files[number]
            if named and number < named[0]:
                self._notes.append(f"{path}: its trajectories were no longer needed; it is removed")
            elif path.stat().st_size <= FILE_HEADER_BYTES:
                self._notes.append(f"{path}: was begun but holds no record; it is removed")
            else:
                raise InputOutputError(
                    f"{path}: holds records, but {MANIFEST} does not name it: restore the newest {MANIFEST}, "
                    f"{START_ANEW}"
                )
        return [self._files[number] for number in unnamed]

    def _state(self) -> tuple[JournalState | None, int]:
        path = self._directory / STATE
        if not path.exists():
            return None, 0
        try:
            data = read_file(path, MAX_STATE_BYTES)
            return decode_state(data), len(data)
        except InputOutputError as error:
            self._notes.append(f"{path}: damaged and ignored: {error}")
            return None, 0


def _read_manifest(path: Path, expected: JournalLayout | None) -> Manifest:
    if not path.exists():
        raise InputOutputError(f"{path}: missing: restore it from a copy, {START_ANEW}")
    try:
        manifest = decode_manifest(read_file(path, MAX_MANIFEST_BYTES))
    except InputOutputError as error:
        raise InputOutputError(f"{path}: {error}: restore it from a copy, {START_ANEW}") from None
    if expected is not None and manifest.layout != expected:
        found, wanted = manifest.layout._asdict(), expected._asdict()
        differ = ", ".join(
            f"{name} {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name]
        )
        raise InputOutputError(
            f"{path}: the journal belongs to another game: {differ}: restore the profile it was made with, {START_ANEW}"
        )
    return manifest


def _check_header(path: Path, layout: JournalLayout, number: int) -> None:
    with open_plain(path) as file:
        if file_version(file.read(FILE_HEADER_BYTES), layout, number) is None:
            raise InputOutputError(f"{path}, offset 0: damaged header: restore it from a copy, {START_ANEW}")
