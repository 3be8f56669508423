"""manifest.json: the journal's layout and its segments in order; replaced whole, after the segments that it names.

    {"format": 1, "layout": {...}, "segments": [{...}, ...], "crc32c": N}

V1  A segment is on disk before the manifest names it, and gets its first record only after that: a file that is
    not named yet holds no record.
V2  A segment is struck off before its file is removed: an unnamed file older than all named ones was being deleted.
V3  A segment with `bytes` is closed: exactly that many are whole and on disk. Only the last one can be open.
V4  `torn`: writing ended with an error, so the file may be longer than `bytes`.
V5  The manifest exists before the first segment does.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from crc32c import crc32c

from ...errors import InputOutputError
from .format import FILE_HEADER_BYTES, FORMAT_VERSION, JournalLayout

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 26
# The serial of a segment without records.
NONE = -1
_SEGMENT_NAME = re.compile(r"segment-(\d{8,18})\.mzj")


class SegmentEntry(NamedTuple):
    """One segment; the entry of an open one has neither `bytes` nor serials."""

    number: int
    bytes: int | None = None
    first_serial: int = NONE
    last_serial: int = NONE
    torn: bool = False

    @property
    def name(self) -> str:
        """File name."""
        return f"segment-{self.number:08d}.mzj"

    def is_sane(self) -> bool:
        """Whether the fields have the right types."""
        numbers = (self.number, self.first_serial, self.last_serial, 0 if self.bytes is None else self.bytes)
        if not all(type(n) is int for n in numbers) or type(self.torn) is not bool or self.number <= 0:
            return False
        return self.bytes is None or self.bytes >= FILE_HEADER_BYTES


class Manifest(NamedTuple):
    """The contents of manifest.json."""

    layout: JournalLayout
    segments: tuple[SegmentEntry, ...]


def segment_files(directory: Path) -> dict[int, Path]:
    """Every segment file in the directory by number; raises OSError."""
    found = {path: _SEGMENT_NAME.fullmatch(path.name) for path in directory.iterdir()}
    return dict(sorted((int(match[1]), path) for path, match in found.items() if match))


def encode_manifest(manifest: Manifest, version: int = FORMAT_VERSION) -> bytes:
    """The bytes of this manifest; there is only one way to write it."""
    plain: dict[str, Any] = {
        "format": version,
        "layout": manifest.layout.to_dict(),
        "segments": [entry._asdict() for entry in manifest.segments],
    }
    plain["crc32c"] = crc32c(json.dumps(plain).encode())
    return json.dumps(plain, indent=1).encode()


def decode_manifest(data: bytes) -> Manifest:
    """The manifest; raises InputOutputError unless every byte is as encode_manifest writes it."""
    try:
        plain = json.loads(data)
        version, layout = plain["format"], JournalLayout.from_dict(plain["layout"])
        segments = tuple(SegmentEntry(**entry) for entry in plain["segments"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputOutputError(f"damaged: {error!r}") from None
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise InputOutputError(f"format {version!r}, this program has {FORMAT_VERSION}")
    manifest = Manifest(layout, segments)
    if not all(entry.is_sane() for entry in segments) or encode_manifest(manifest, version) != data:
        raise InputOutputError("damaged: its CRC32C does not match its contents")
    numbers = [entry.number for entry in segments]
    if numbers != sorted(set(numbers)) or any(entry.bytes is None for entry in segments[:-1]):
        raise InputOutputError("its segments are not in order")
    return manifest
