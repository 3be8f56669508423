"""CRC32C kernels: of bytes at an address, and of float32 in the same pass that copies them and looks for NaN.

Reads           nbytes bytes from `address` on; 4 * num_floats from `source` on
Writes          copy_floats: as many from `target` on
Preconditions   P1  the memory stays for as long as the call takes
                P2  copy_floats: source and target do not overlap, and both are multiples of 4
Postconditions  I1  the value is CRC32C as everybody has it (Castagnoli, reflected, all ones before and after),
                    whatever instructions the processor has
                I2  copy_floats: target is bit for bit source, finite or not
                I3  copy_floats: no store of the caller is seen before the copy's
Oracle          the package crc32c        Benchmark  mzpipe bench ipc
"""

import numpy as np
from numba import njit

from .instructions import (
    BLOCK_BYTES,
    HAS_CRC32,
    VECTOR_BITS,
    VECTOR_BYTES,
    copy_blocks,
    crc32_word,
    drain_stores,
    fold_blocks,
    load_byte,
    load_half,
    load_word,
    store_half,
    store_word,
)

NOT_FINITE = -1
_ONES = 0xFFFFFFFF
_REFLECTED_POLYNOMIAL = 0x82F63B78
_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000


def _tables() -> np.ndarray:
    """int64 [8, 256]: table k is for a byte with k more bytes behind it (slicing by eight)."""
    rows = [np.arange(256)]
    for _ in range(8):
        rows[0] = np.where(rows[0] & 1, rows[0] >> 1 ^ _REFLECTED_POLYNOMIAL, rows[0] >> 1)
    for _ in range(7):
        rows.append(rows[-1] >> 8 ^ rows[0][rows[-1] & 0xFF])
    return np.array(rows)


_TABLES = _tables()


@njit(cache=True, nogil=True)
def _table_word(register, word):
    mixed, register = word ^ register, 0
    for place in range(8):
        register ^= _TABLES[7 - place, mixed >> 8 * place & 0xFF]
    return register


@njit(cache=True, nogil=True)
def _table_byte(register, byte):
    return register >> 8 ^ _TABLES[0, (register ^ byte) & 0xFF]


_after_word = crc32_word if HAS_CRC32 else _table_word


@njit(cache=True, nogil=True)
def crc32c(address, nbytes):
    """CRC32C of the bytes."""
    register, place, end = _ONES, address, address + nbytes
    if VECTOR_BITS and nbytes >= BLOCK_BYTES:
        num_blocks = nbytes // BLOCK_BYTES
        register = fold_blocks(register, place, num_blocks)
        place += num_blocks * BLOCK_BYTES
    while place + 8 <= end:
        register = _after_word(register, load_word(place))
        place += 8
    while place < end:
        register = _table_byte(register, load_byte(place))
        place += 1
    return register ^ _ONES


@njit(cache=True, nogil=True)
def copy_floats(source, target, num_floats):
    """CRC32C of the float32 that were copied, or NOT_FINITE when one of them is none."""
    nbytes, register, largest, done = 4 * num_floats, _ONES, 0, 0
    if VECTOR_BITS:
        done = min(nbytes, -target % VECTOR_BYTES)
        register, largest = _copy_words(register, largest, source, target, done)
        num_blocks = (nbytes - done) // BLOCK_BYTES
        if num_blocks:
            folded = copy_blocks(register, source + done, target + done, num_blocks)
            register, largest = folded & _ONES, max(largest, folded >> 32)
            done += num_blocks * BLOCK_BYTES
    register, largest = _copy_words(register, largest, source + done, target + done, nbytes - done)
    drain_stores()
    return register ^ _ONES if largest < _INFINITY else NOT_FINITE


@njit(cache=True, nogil=True)
def _copy_words(register, largest, source, target, nbytes):
    for place in range(0, nbytes - 7, 8):
        word = load_word(source + place)
        store_word(target + place, word)
        register = _after_word(register, word)
        largest = max(largest, word & _MAGNITUDE, word >> 32 & _MAGNITUDE)
    if nbytes & 4:
        half = load_half(source + nbytes - 4)
        store_half(target + nbytes - 4, half)
        largest = max(largest, half & _MAGNITUDE)
        for byte in range(4):
            register = _table_byte(register, half >> 8 * byte & 0xFF)
    return register, largest


def checksum(array: np.ndarray) -> int:
    """CRC32C of a C-contiguous array's bytes."""
    return crc32c(array.ctypes.data, array.nbytes)
