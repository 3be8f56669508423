"""Packing: the used rows of a record as one frame of bytes, and back into a slot of a ring.

Frames of bytes (images, planes of boards) shrink many times, so records that hold them are compressed; other records
cost less to send than to compress. The size after decompression is checked before a byte is decompressed.
"""

from typing import Generic, TypeVar

import numpy as np
import zstandard

from ..errors import MessageError
from ..ipc.columns import Axis, Sizes, begins_with, fields, named

R = TypeVar("R", bound=tuple)
# The fastest level: Atari frames shrink nearly as far as at 3, in a third of the time.
ZSTD_LEVEL = 1


class Packer(Generic[R]):
    """Packs records of one kind; arrays whose first axis is `axis` are cut to the rows in use."""

    def __init__(self, kind: type[R], sizes: Sizes, axis: Axis) -> None:
        self._is_cut = begins_with(kind, axis, sizes)
        self._fields = fields(kind, sizes)
        self.max_rows = sizes.along([axis])[0]
        self._is_compressed = np.dtype(sizes.frame_dtype).itemsize == 1
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def nbytes(self, rows: int) -> int:
        """Bytes of a record with this many rows, before compression."""
        return sum(
            field.nbytes // self.max_rows * rows if self._is_cut[field.name] else field.nbytes for field in self._fields
        )

    @property
    def largest(self) -> int:
        """Bytes of the largest packed record: data that do not shrink grow a little."""
        nbytes = self.nbytes(self.max_rows)
        return nbytes + nbytes // 128 + 1024

    def pack(self, record: R, rows: int) -> bytes:
        """The first `rows` rows of a record."""
        parts = [
            (array[:rows] if self._is_cut[name] else array).data.cast("B") for name, array in named(record).items()
        ]
        data = b"".join(parts)
        return self._compressor.compress(data) if self._is_compressed else data

    def unpack(self, data: bytes | memoryview, rows: int, slot: R) -> None:
        """Writes what `pack` has made into a slot; raises MessageError, and leaves the slot, if it has another size."""
        if not 1 <= rows <= self.max_rows:
            raise MessageError(f"a record of {rows} rows, at most {self.max_rows}")
        nbytes = self.nbytes(rows)
        data = self._decompressed(data, nbytes) if self._is_compressed else data
        if len(data) != nbytes:
            raise MessageError(f"a record of {rows} rows in {len(data)} bytes, expected {nbytes}")
        offset = 0
        for name, array in named(slot).items():
            target = array[:rows] if self._is_cut[name] else array
            target[...] = np.frombuffer(data, target.dtype, target.size, offset).reshape(target.shape)
            offset += target.nbytes

    def _decompressed(self, data: bytes | memoryview, nbytes: int) -> bytes:
        try:
            size = zstandard.frame_content_size(data)
            if size != nbytes:
                raise MessageError(f"a record that says it has {size} bytes, expected {nbytes}")
            return self._decompressor.decompress(data, max_output_size=nbytes, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise MessageError(f"a record that cannot be decompressed: {error}") from None
