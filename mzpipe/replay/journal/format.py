"""The bytes of a segment: a file header, then records; integers are little-endian, everything is aligned to 8 bytes.

    file    | magic 8 | version u32 | crc u32 | segment i64 | actions i64 | dtype 16 | dims i64 | 8 x dim i64 |
    record  | magic 4 | kind u32 | serial i64 | length i64 | synced i64 | payload crc u32 | header crc u32 |
    payload | actor | epoch | game | episode | offset | end (i64 each) | final_value f32 | pad 4 |
            | weights_version | action | reward | root_value | search_policy | frame | to_play | legal_actions |

V1  The layout and the length determine the payload's bytes: no other size is stored, so none can contradict it.
V2  The header's CRC32C covers the payload's CRC32C, which covers every byte of the payload, padding included.
V3  `synced` is how much of this segment was on disk for certain when the record was written. So a record after a
    bad one can prove that the bad one had been safe (damage), and not a power failure's torn tail.
V4  Serials ascend within a segment and from one to the next; gaps are legal.
V5  A file's version says which columns its records have: those above are version 1, and every later version has
    appended some (Column.since). A column that a record lacks is read as zeros.
V6  Where actions are vectors, `actions` holds their size in its upper 32 bits, and `vectors` follows legal_actions.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from crc32c import crc32c

from ...errors import InputOutputError
from ...ipc.columns import Column, Sizes, assemble, columns
from ...ipc.layout import Field, align
from ...ipc.schema import Steps, Trajectory

# The columns of a record: frames, and all of Steps.
_COLUMNS: dict[str, Column] = {"frame": columns(Trajectory)["frame"], **columns(Steps)}
_FIRST_ORDER = (
    "weights_version",
    "action",
    "reward",
    "root_value",
    "search_policy",
    "frame",
    "to_play",
    "legal_actions",
)
FORMAT_VERSION = max(column.since for column in _COLUMNS.values())
RECORD_MAGIC = b"MZr1"
# A header with a longer payload is not believed. The writer's queue is smaller, so it never writes one.
MAX_PAYLOAD_BYTES = 1 << 30
_FILE_MAGIC = b"MZJSEGM1"
_TRAJECTORY = 1
_MAX_DIMS = 8
_MAX_ACTION_SIZE = 1 << 16
_ACTION_SIZE_SHIFT = 32
_FILE = struct.Struct(f"<8sIIqq16sq{_MAX_DIMS}q")
_RECORD = struct.Struct("<4sIqqqII")
_IDENTITY = struct.Struct("<6qf4x")
_FILE_CRC_OFFSET, _RECORD_CRC_OFFSET, _SYNCED_OFFSET = 12, 36, 24
FILE_HEADER_BYTES = _FILE.size
RECORD_HEADER_BYTES = _RECORD.size
RECORD_ALIGNMENT = 8
# The most that a segment's entry takes in the manifest.
_ENTRY_BYTES = 256


class JournalLayout(NamedTuple):
    """The dimensions that all records of a journal share."""

    frame_shape: tuple[int, ...]
    frame_dtype: str
    num_actions: int
    # The numbers of an action that is a vector; 0: actions are a list, and manifests and headers do not have it.
    action_size: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        plain = {**self._asdict(), "frame_shape": list(self.frame_shape)}
        return plain if self.action_size else {name: plain[name] for name in plain if name != "action_size"}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "JournalLayout":
        """The layout that to_dict() was called on; raises InputOutputError if the fields are not those of a layout."""
        try:
            fields = {"action_size": 0, **plain}
            layout = cls(**{**fields, "frame_shape": tuple(fields["frame_shape"])})
            ok = layout.is_sane()
        except (KeyError, TypeError) as error:
            raise InputOutputError(f"not a layout of records: {error!r}") from None
        if not ok:
            raise InputOutputError(f"not a layout of records: {layout}")
        return layout

    def is_sane(self) -> bool:
        """Whether the fields have the right types and are small enough to compute sizes from."""
        numbers = (*self.frame_shape, self.num_actions)
        if len(self.frame_shape) > _MAX_DIMS or not all(type(n) is int and 0 < n <= 1 << 20 for n in numbers):
            return False
        if type(self.action_size) is not int or not 0 <= self.action_size <= _MAX_ACTION_SIZE:
            return False
        if not isinstance(self.frame_dtype, str) or not _is_plain_dtype(self.frame_dtype):
            return False
        return record_bytes(self, 1) <= MAX_PAYLOAD_BYTES


class RecordHeader(NamedTuple):
    """The checked head of a record."""

    serial: int
    length: int
    synced_bytes: int
    payload_crc: int


class StoredTrajectory(NamedTuple):
    """One trajectory as it was appended; the record's columns are read-only and exactly `length` long."""

    serial: int
    actor: int
    epoch: int
    record: Trajectory


def _is_plain_dtype(name: str) -> bool:
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        return False
    return dtype.kind in "biuf" and dtype.name == name and len(name) < 16


class _Placed(NamedTuple):
    """A column, its offset in a record, and a function that gets it from a Trajectory."""

    field: Field
    offset: int
    of: Callable[[Trajectory], np.ndarray]


def _names(version: int) -> list[str]:
    """Columns in a record's order: those of the first version, optional ones, then those that later versions added."""
    added = [name for name in _COLUMNS if name not in _FIRST_ORDER]
    return [*_FIRST_ORDER, *sorted((n for n in added if _COLUMNS[n].since <= version), key=lambda n: _COLUMNS[n].since)]


@lru_cache(maxsize=1024)
def _placed(layout: JournalLayout, length: int, version: int) -> tuple[tuple[_Placed, ...], int]:
    """Columns with their offsets in a record, and the record's bytes."""
    sizes = _sizes(layout, length)
    placed, end = [], RECORD_HEADER_BYTES + _IDENTITY.size
    for name in _names(version):
        if not _COLUMNS[name].exists(sizes):
            continue
        leading, path = ((), name) if name == "frame" else ((length,), f"steps.{name}")
        field = _COLUMNS[name].field(name, sizes, leading)
        placed.append(_Placed(field, end, attrgetter(path)))
        end = align(end + field.nbytes, RECORD_ALIGNMENT)
    return tuple(placed), end


def _sizes(layout: JournalLayout, length: int) -> Sizes:
    return Sizes(length=length, **layout._asdict())


def record_bytes(layout: JournalLayout, length: int, version: int = FORMAT_VERSION) -> int:
    """Bytes of a record of `length` transitions, header and padding included."""
    return _placed(layout, length, version)[1]


def file_header(layout: JournalLayout, segment: int, version: int = FORMAT_VERSION) -> bytearray:
    """The first bytes of a segment file."""
    dims = layout.frame_shape + (0,) * (_MAX_DIMS - len(layout.frame_shape))
    dtype, actions = layout.frame_dtype.encode(), layout.num_actions | layout.action_size << _ACTION_SIZE_SHIFT
    header = bytearray(_FILE.pack(_FILE_MAGIC, version, 0, segment, actions, dtype, len(layout.frame_shape), *dims))
    struct.pack_into("<I", header, _FILE_CRC_OFFSET, crc32c(header))
    return header


def file_version(head: bytes, layout: JournalLayout, segment: int) -> int | None:
    """The version of the segment that begins with these bytes; None if they are damaged, or too new."""
    versions = range(1, FORMAT_VERSION + 1)
    return next((version for version in versions if head == file_header(layout, segment, version)), None)


def encode_record(layout: JournalLayout, serial: int, record: Trajectory, *, actor: int, epoch: int) -> bytearray:
    """A private copy of the first `length` transitions; only seal() is missing."""
    length = int(record.length[0])
    placed, nbytes = _placed(layout, length, FORMAT_VERSION)
    buffer = bytearray(nbytes)
    identity = (int(number[0]) for number in (record.game, record.episode, record.offset, record.end))
    _IDENTITY.pack_into(buffer, RECORD_HEADER_BYTES, actor, epoch, *identity, float(record.final_value[0]))
    for field, offset, of in placed:
        column = np.ndarray(field.shape, field.dtype, buffer, offset)
        np.copyto(column, of(record)[:length], casting="equiv")
    payload_crc = crc32c(memoryview(buffer)[RECORD_HEADER_BYTES:])
    _RECORD.pack_into(buffer, 0, RECORD_MAGIC, _TRAJECTORY, serial, length, 0, payload_crc, 0)
    return buffer


def seal(buffer: bytearray, synced_bytes: int) -> None:
    """Completes a record's header just before it is written (V3)."""
    struct.pack_into("<q", buffer, _SYNCED_OFFSET, synced_bytes)
    struct.pack_into("<I", buffer, _RECORD_CRC_OFFSET, crc32c(memoryview(buffer)[:_RECORD_CRC_OFFSET]))


def parse_record_header(head: bytes) -> RecordHeader | None:
    """The head of a record, or None if these bytes are not one."""
    magic, kind, serial, length, synced, payload_crc, header_crc = _RECORD.unpack(head)
    whole = magic == RECORD_MAGIC and header_crc == crc32c(head[:_RECORD_CRC_OFFSET])
    if not whole or kind != _TRAJECTORY or length < 0 or serial < 0:
        return None
    return RecordHeader(serial, length, synced, payload_crc)


def payload_bytes(layout: JournalLayout, header: RecordHeader, version: int) -> int | None:
    """Bytes after a record's header; None if its length cannot be right."""
    if header.length > MAX_PAYLOAD_BYTES:
        return None
    nbytes = record_bytes(layout, header.length, version) - RECORD_HEADER_BYTES
    return nbytes if nbytes <= MAX_PAYLOAD_BYTES else None


def decode_payload(
    layout: JournalLayout, header: RecordHeader, payload: bytes, version: int
) -> StoredTrajectory | None:
    """The trajectory in a payload of payload_bytes() bytes, or None if its CRC is not the header's."""
    if crc32c(payload) != header.payload_crc:
        return None
    actor, epoch, game, episode, offset, end, final_value = _IDENTITY.unpack_from(payload)
    head = {
        "game": game,
        "episode": episode,
        "offset": offset,
        "length": header.length,
        "end": end,
        "final_value": final_value,
    }
    arrays = {name: np.array([value]) for name, value in head.items()}
    for field, place, _ in _placed(layout, header.length, version)[0]:
        arrays[field.name] = np.ndarray(field.shape, field.dtype, payload, place - RECORD_HEADER_BYTES)
    for field, _, _ in _placed(layout, header.length, FORMAT_VERSION)[0]:
        if field.name not in arrays:
            arrays[field.name] = np.zeros(field.shape, field.dtype)
    return StoredTrajectory(header.serial, actor, epoch, assemble(Trajectory, arrays))


def journal_bytes_bound(
    layout: JournalLayout, *, transitions: int, trajectory_length: int, segment_bytes: int, state_bytes: int
) -> int:
    """The most bytes that RUN/journal can reach while a table of `transitions` forgets what it removes.

    At worst every stored transition has its own record. Three more segments count: the oldest one, whose trajectories
    are almost all gone, one that is about to be deleted, and the one being filled; then the state and its draft.
    """
    longest = record_bytes(layout, trajectory_length)
    largest_segment = max(segment_bytes, FILE_HEADER_BYTES + longest)
    stored = transitions * record_bytes(layout, 1)
    # A segment ends when the next record does not fit, so it holds at least this much.
    num_segments = 4 + stored // max(1, segment_bytes - FILE_HEADER_BYTES - longest, record_bytes(layout, 1))
    headers_and_manifest = num_segments * (FILE_HEADER_BYTES + 2 * _ENTRY_BYTES)
    return stored + 3 * largest_segment + headers_and_manifest + 2 * state_bytes
