"""state.mzs: the rest of what a resumed table needs, such as priorities by serial; one file, replaced whole.

    | magic 8 | version u32 | crc u32 | file bytes i64 | head bytes i64 | head: msgpack | pad 8 | array | pad 8 | ... |

The CRC32C covers everything after it. The head is {"fields": {...}, "arrays": [[name, dtype, shape], ...]}.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack
import numpy as np
from crc32c import crc32c

from ...errors import InputOutputError
from ...ipc.layout import align

STATE = "state.mzs"
MAX_STATE_BYTES = 1 << 32
_MAX_HEAD_BYTES = 1 << 20
_MAGIC, _VERSION = b"MZJSTAT1", 1
_HEADER = struct.Struct("<8sIIqq")
_CRC_OFFSET, _CHECKED_FROM = 12, 16


class JournalState(NamedTuple):
    """Plain values and arrays; arrays from a file are read-only."""

    fields: dict[str, Any]
    arrays: dict[str, np.ndarray]


def encode_state(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytearray:
    """The bytes of the file, a private copy; head and arrays must keep to the limits above."""
    described = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    head = msgpack.packb({"fields": dict(fields), "arrays": described})
    places, end = _places(head, [array.nbytes for array in arrays.values()])
    assert len(head) <= _MAX_HEAD_BYTES and end <= MAX_STATE_BYTES
    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    buffer = bytearray(end)
    buffer[_HEADER.size : _HEADER.size + len(head)] = head
    for place, array in zip(places, arrays.values(), strict=True):
        np.ndarray(array.shape, array.dtype.name, buffer, place)[...] = array
    _HEADER.pack_into(buffer, 0, _MAGIC, _VERSION, 0, end, len(head))
    struct.pack_into("<I", buffer, _CRC_OFFSET, crc32c(memoryview(buffer)[_CHECKED_FROM:]))
    return buffer


def decode_state(data: bytes) -> JournalState:
    """The arguments of encode_state; raises InputOutputError unless the bytes are exactly what it made."""
    if len(data) < _HEADER.size:
        raise InputOutputError(f"{len(data)} bytes are too few")
    magic, version, crc, nbytes, head_bytes = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION:
        raise InputOutputError(f"begins with {magic!r} version {version}, not {_MAGIC!r} version {_VERSION}")
    if nbytes != len(data) or not 0 <= head_bytes <= min(_MAX_HEAD_BYTES, nbytes - _HEADER.size):
        raise InputOutputError(f"has {len(data)} bytes, its header says {nbytes} with a head of {head_bytes}")
    if crc != crc32c(memoryview(data)[_CHECKED_FROM:]):
        raise InputOutputError("its CRC32C does not match its contents")
    try:
        return _decode_head(data, data[_HEADER.size : _HEADER.size + head_bytes])
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        raise InputOutputError(f"cannot be read: {error!r}") from None


def _decode_head(data: bytes, head: bytes) -> JournalState:
    plain = msgpack.unpackb(head, max_ext_len=0)
    fields, described = plain["fields"], plain["arrays"]
    dtypes = [np.dtype(dtype) for _, dtype, _ in described]
    shapes = [tuple(shape) for _, _, shape in described]
    if not all(dtype.kind in "biuf" for dtype in dtypes) or not all(n >= 0 for shape in shapes for n in shape):
        raise ValueError(f"arrays {described}")
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
    places, end = _places(head, sizes)
    if end != len(data) or not isinstance(fields, dict):
        raise ValueError(f"arrays end at {end}")
    names = [name for name, _, _ in described]
    return JournalState(
        fields,
        {
            name: np.ndarray(shape, dtype, data, place)
            for name, shape, dtype, place in zip(names, shapes, dtypes, places, strict=True)
        },
    )


def _places(head: bytes, sizes: list[int]) -> tuple[list[int], int]:
    """The offset of each array, and the file's number of bytes."""
    places, end = [], align(_HEADER.size + len(head), 8)
    for nbytes in sizes:
        places.append(end)
        end = align(end + nbytes, 8)
    return places, end
