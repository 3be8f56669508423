"""copy_rows: rows of one array into rows of another by memcpy.

An assignment of a row of small numbers compiles to a loop over its elements, at
a tenth of memcpy's speed for single bytes; this is the C library's memcpy, which
LLVM calls for `llvm.memcpy` of a size that is not known beforehand.

Preconditions   P1  both arrays are C-contiguous, of one dtype, and their rows of one size.
                P2  first + count rows exist on both sides, and they do not overlap.

It is compiled: a process started with NUMBA_DISABLE_JIT=1 cannot use it.
"""

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


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
