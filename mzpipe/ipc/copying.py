"""Kernels that copy: copy_rows copies rows between arrays by memcpy; prefetch_rows asks for rows before they are read;
copy_floats copies weights and checks them for NaN and infinity in the same pass.

An assignment of a row of small numbers compiles to a loop over its elements, which
for single bytes has a tenth of memcpy's speed. copy_rows uses the C library's memcpy,
which LLVM calls for an `llvm.memcpy` whose size is not a constant. A prefetch loads
cache lines while other work runs: rows drawn at random from a large table are in no
cache, and the hardware cannot guess which one is next.

Preconditions   P1  both arrays are C-contiguous, of one dtype, and have rows of one size.
                P2  first + count rows exist on both sides, and they do not overlap.
                P3  rows to prefetch are of a C-contiguous array; they need not all exist.
                P4  copy_floats: both arrays are C-contiguous float32, of one size, and do not overlap.
Postconditions  I1  copy_floats: target equals source bit for bit, finite or not.

copy_rows and prefetch_rows are compiled: a process started with NUMBA_DISABLE_JIT=1 cannot use them.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .layout import CACHE_LINE_BYTES

# Lines that one prefetch asks for; the hardware prefetches the lines after them once they are read.
_MAX_LINES = 8
# All bits of a float32 except its sign: as integers they order magnitudes, and from infinity's on they are not finite.
_MAGNITUDE, _INFINITY = np.int32(0x7FFFFFFF), np.int32(0x7F800000)


@intrinsic
def _copy_items(typing_context, target, target_first, source, source_first, num_items):
    def codegen(context, builder, signature, args):
        def item(array_type, array, first):
            return builder.gep(context.make_array(array_type)(context, builder, array).data, [first])

        target_type, source_type = signature.args[0], signature.args[2]
        item_bytes = context.get_abi_sizeof(context.get_data_type(target_type.dtype))
        pointers = item(target_type, args[0], args[1]), item(source_type, args[2], args[3])
        cgutils.raw_memcpy(builder, pointers[0], pointers[1], args[4], item_bytes)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), codegen


@njit(cache=True, nogil=True)
def copy_rows(target_RF, target_first, source_PF, source_first, count):
    """Copies `count` rows of source_PF, from source_first on, to target_RF, from target_first on."""
    row_items = source_PF.shape[1]
    _copy_items(target_RF, target_first * row_items, source_PF, source_first * row_items, count * row_items)


@intrinsic
def _prefetch_line(typing_context, source, byte):
    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(builder.bitcast(data, cgutils.voidptr_t), [args[1]])
        word = ir.IntType(32)
        prefetch_type = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", (pointer.type,), prefetch_type)
        builder.call(prefetch, [pointer, word(0), word(3), word(1)])  # to read, into every cache, data
        return context.get_dummy_value()

    return types.void(source, types.intp), codegen


@njit(cache=True, nogil=True)
def prefetch_rows(source_P, first, count):
    """Asks for the first cache lines of `count` rows, one number or more each, from row `first` on."""
    row_bytes = source_P.strides[0]
    num_bytes = min(count * row_bytes, _MAX_LINES * CACHE_LINE_BYTES)
    for byte in range(first * row_bytes, first * row_bytes + num_bytes, CACHE_LINE_BYTES):
        _prefetch_line(source_P, byte)


def copy_floats(source: np.ndarray, target: np.ndarray) -> bool:
    """Copies float32 to `target`; returns whether all of them are finite."""
    return bool(_copy_bits(source.view(np.int32), target.view(np.int32)) < _INFINITY)


@njit(cache=True, nogil=True)
def _copy_bits(source_F, target_F):
    """Copies the bits; returns the largest magnitude among them."""
    largest = np.int32(0)
    for index in range(len(source_F)):
        bits = source_F[index]
        target_F[index] = bits
        largest = max(largest, bits & _MAGNITUDE)
    return largest
