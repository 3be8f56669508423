"""Changes what is inside of a run's files, and makes their checksums right again."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from crc32c import crc32c
from safetensors.numpy import load, save

from mzpipe.replay.journal.format import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    StoredTrajectory,
    decode_payload,
    encode_record,
    file_version,
    parse_record_header,
    payload_bytes,
    seal,
)
from mzpipe.replay.journal.manifest import decode_manifest
from mzpipe.replay.journal.state import decode_state, encode_state

MISSING = object()
# Where a record's header has its length, its payload's checksum, and its own.
_SERIAL_OFFSET, _LENGTH_OFFSET, _PAYLOAD_CRC_OFFSET, _HEADER_CRC_OFFSET = 8, 16, 32, 36
Change = Callable[[Path], None]


def put(fields: Any, name: Any, value: object) -> Any:
    """The fields with another value of one, or without it."""
    if value is MISSING:
        fields.pop(name, None)
    else:
        fields[name] = value
    return fields


def in_json(change: Callable[[Any], Any]) -> Change:
    """Of a JSON file without a checksum."""
    return lambda path: _write(path, json.dumps(change(json.loads(path.read_text()))).encode())


def in_state(change: Callable[[dict], object]) -> Change:
    """Of a checkpoint's state."""
    return lambda path: rehashed(path, msgpack.packb(change(msgpack.unpackb(path.read_bytes()))))


def in_tensors(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Change:
    """Of a checkpoint's tensors."""
    return lambda path: rehashed(path, save(change(dict(load(path.read_bytes())))))


def as_bytes(data: bytes) -> Change:
    """Other bytes in a file of a checkpoint."""
    return lambda path: rehashed(path, data)


def rehashed(path: Path, data: bytes) -> None:
    """Writes a file of a checkpoint, and its checksum into the manifest."""
    path.write_bytes(data)
    manifest = path.with_name("manifest.json")
    plain = json.loads(manifest.read_text())
    plain["files"][path.name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    manifest.write_text(json.dumps(plain, indent=1))


def in_journal_manifest(change: Callable[[dict], Any]) -> Change:
    """Of a journal's manifest."""

    def forge(path: Path) -> None:
        plain = json.loads(path.read_text())
        del plain["crc32c"]
        plain = change(plain)
        plain["crc32c"] = crc32c(json.dumps(plain).encode())
        path.write_text(json.dumps(plain, indent=1))

    return forge


def in_journal_state(change: Callable[[dict, dict], None]) -> Change:
    """Of the state that a journal keeps."""

    def forge(path: Path) -> None:
        state = decode_state(path.read_bytes())
        fields, arrays = dict(state.fields), {name: array.copy() for name, array in state.arrays.items()}
        change(fields, arrays)
        path.write_bytes(encode_state(fields, arrays))

    return forge


def in_record(change: Callable[[StoredTrajectory], StoredTrajectory]) -> Change:
    """Of the second record in a journal's segment."""

    def forge(path: Path) -> None:
        data, start, layout, version = _second_record(path)
        head = parse_record_header(bytes(data[start : start + RECORD_HEADER_BYTES]))
        size = payload_bytes(layout, head, version)
        end = start + RECORD_HEADER_BYTES + size
        payload = bytes(data[start + RECORD_HEADER_BYTES : end])
        forged = change(decode_payload(layout, head, payload, version))
        data[start:end] = encode_record(layout, forged.serial, forged.record, actor=forged.actor, epoch=forged.epoch)
        sealed = data[start:end]
        seal(sealed, head.synced_bytes)
        data[start:end] = sealed
        path.write_bytes(data)

    return forge


def in_record_header(offset: int, number: int) -> Change:
    """One integer in the header of the second record."""

    def forge(path: Path) -> None:
        data, start, _, _ = _second_record(path)
        struct.pack_into("<q", data, start + offset, number)
        crc = crc32c(memoryview(data)[start : start + _HEADER_CRC_OFFSET])
        struct.pack_into("<I", data, start + _HEADER_CRC_OFFSET, crc)
        path.write_bytes(data)

    return forge


def with_serial(number: int) -> Change:
    """Another serial of a record."""
    return in_record_header(_SERIAL_OFFSET, number)


def with_length(number: int) -> Change:
    """Another number of transitions of a record."""
    return in_record_header(_LENGTH_OFFSET, number)


def _second_record(path: Path) -> tuple[bytearray, int, Any, int]:
    layout = decode_manifest(path.with_name("manifest.json").read_bytes()).layout
    data, number = bytearray(path.read_bytes()), int(path.stem.partition("-")[2])
    version = file_version(bytes(data[:FILE_HEADER_BYTES]), layout, number)
    head = parse_record_header(bytes(data[FILE_HEADER_BYTES : FILE_HEADER_BYTES + RECORD_HEADER_BYTES]))
    start = FILE_HEADER_BYTES + RECORD_HEADER_BYTES + payload_bytes(layout, head, version)
    return data, start, layout, version


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
