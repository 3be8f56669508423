"""copy_rows: rows of one array into rows of another by memcpy; prefetch_rows: rows that are about to be read;
copy_floats: weights, looked at for NaN and infinity in the pass that copies them.

An assignment of a row of small numbers compiles to a loop over its elements, at
a tenth of memcpy's speed for single bytes; this is the C library's memcpy, which
LLVM calls for `llvm.memcpy` of a size that is not known beforehand. A prefetch
brings cache lines closer while other work goes on: rows of a large table, drawn at
random, are in no cache, and nothing in the machine guesses which one comes next.

Preconditions   P1  both arrays are C-contiguous, of one dtype, and their rows of one size.
                P2  first + count rows exist on both sides, and they do not overlap.
                P3  rows to prefetch are of a C-contiguous array; they need not all exist.
                P4  copy_floats: both arrays are C-contiguous float32, of one size, and do not overlap.
Postconditions  I1  copy_floats: target is bit for bit source, finite or not.

The first two are compiled: a process started with NUMBA_DISABLE_JIT=1 cannot use them.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .layout import CACHE_LINE_BYTES

# As many lines as one prefetch asks for; whoever reads on from there is followed by the hardware.
_MAX_LINES = 8
# Of a float32: all bits but the sign's, which order magnitudes as integers do; from infinity on it is not finite.
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
    """Copies float32 to `target`; says whether all of them are finite."""
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
