"""Named arrays at fixed offsets: how a slot, a lane block or a table is laid out in bytes.

    | field 0 ... pad | field 1 ... pad | ... |      every field starts on a cache line

V1  The offsets depend on the fields alone, so two processes that agree on the
    fields agree on every byte.
V2  Fields do not overlap, and no two share a cache line.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

CACHE_LINE_BYTES = 64
# The adjacent-line prefetcher pulls pairs of lines: words written by different processes lie two apart.
FALSE_SHARING_BYTES = 128
WORDS_PER_LINE = FALSE_SHARING_BYTES // 8


class Field(NamedTuple):
    """One array of a layout."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes without padding."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def align(nbytes: int, boundary: int = CACHE_LINE_BYTES) -> int:
    """`nbytes` rounded up to a multiple of `boundary`."""
    return -(-nbytes // boundary) * boundary


class ArrayLayout:
    """The offsets of a sequence of fields, and views of a buffer at these offsets."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self.offsets: dict[str, int] = {}
        end = 0
        for field in self.fields:
            self.offsets[field.name] = end
            end = align(end + field.nbytes)
        self.nbytes = end

    def views(self, buffer, offset: int = 0) -> dict[str, np.ndarray]:
        """Arrays over `buffer` from `offset` on, by field name; no copy."""
        return {
            field.name: np.ndarray(field.shape, field.dtype, buffer, offset + self.offsets[field.name])
            for field in self.fields
        }
