"""Instructions for CRC32C that Numba has no name for: crc32, carry-less multiplication, stores past the caches.

They are emitted only where the processor that Numba compiles for has them:

    HAS_CRC32      `crc32` of eight bytes (x86-64, and ARM where it has `crc32cx`)
    VECTOR_BITS    width in which bytes are folded: 512, 256 or 128; 0 where there is no carry-less multiplication

Folding is Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009), with
the bits of every byte reflected: STREAMS vectors of consecutive bytes are multiplied by x^n mod P, n being the distance
to those of the next block, until one block is left, whose CRC is that of them all.

An address is an int64; nothing here looks at where it lies.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .atomics import MACHINE

STREAMS = 4
# What lies so far ahead is asked for while this is folded; the processor does not do it by itself across pages.
_AHEAD_BYTES = 1024
_POLYNOMIAL = 0x1EDC6F41
_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))
_MULTIPLY = {128: "llvm.x86.pclmulqdq", 256: "llvm.x86.pclmulqdq.256", 512: "llvm.x86.pclmulqdq.512"}
# What the processor must have, widest first.
_NEEDED = {
    512: {"+crc32", "+vpclmulqdq", "+avx512f"},
    256: {"+crc32", "+vpclmulqdq", "+avx2"},
    128: {"+crc32", "+pclmul"},
}
_FEATURES = set(cpu_target.target_context.codegen().magic_tuple()[2].split(","))

_IS_ARM = MACHINE == "aarch64"
HAS_CRC32 = ("+crc" if _IS_ARM else "+crc32") in _FEATURES
VECTOR_BITS = next((bits for bits, needed in _NEEDED.items() if needed <= _FEATURES), 0)
VECTOR_BYTES = VECTOR_BITS // 8
BLOCK_BYTES = STREAMS * VECTOR_BYTES
_LANES = VECTOR_BITS // 64
_VECTOR = ir.VectorType(_I64, _LANES)
_FLOATS = ir.VectorType(_I32, 2 * _LANES)
_MAGNITUDE = 0x7FFFFFFF


@intrinsic
def load_word(typing_context, address):
    """Eight bytes, wherever they lie."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=1)

    return types.int64(types.int64), codegen


@intrinsic
def store_word(typing_context, address, word):
    """Stores eight bytes, wherever they lie."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _I64.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def load_half(typing_context, address):
    """Four bytes, as a number that is not negative."""

    def codegen(context, builder, signature, args):
        return builder.zext(builder.load(builder.inttoptr(args[0], _I32.as_pointer()), align=1), _I64)

    return types.int64(types.int64), codegen


@intrinsic
def store_half(typing_context, address, word):
    """Stores the low four bytes of a word."""

    def codegen(context, builder, signature, args):
        builder.store(builder.trunc(args[1], _I32), builder.inttoptr(args[0], _I32.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def load_byte(typing_context, address):
    """One byte, as a number that is not negative."""

    def codegen(context, builder, signature, args):
        return builder.zext(builder.load(builder.inttoptr(args[0], _I8.as_pointer())), _I64)

    return types.int64(types.int64), codegen


@intrinsic
def drain_stores(typing_context):
    """Lets no later store be seen before an earlier one that went past the caches (x86-64 `sfence`)."""

    def codegen(context, builder, signature, args):
        if VECTOR_BITS:
            _call(builder, "llvm.x86.sse.sfence", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def crc32_word(typing_context, crc, word):
    """The CRC register after eight more bytes; only where HAS_CRC32."""

    def codegen(context, builder, signature, args):
        return _crc32(builder, *args)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def fold_blocks(typing_context, crc, source, num_blocks):
    """The CRC register after num_blocks > 0 blocks of BLOCK_BYTES; only where VECTOR_BITS."""

    def codegen(context, builder, signature, args):
        crc, source, num_blocks = args
        return _fold(builder, crc, source, num_blocks, lambda vector, offset: None)

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def copy_blocks(typing_context, crc, source, target, num_blocks):
    """As fold_blocks, each vector also stored past the caches from `target` on, which VECTOR_BYTES must divide.

    Above the register's 32 bits lie those of the largest magnitude among the float32 that were copied.
    """

    def codegen(context, builder, signature, args):
        crc, source, target, num_blocks = args
        largest = cgutils.alloca_once_value(builder, ir.Constant(_FLOATS, None))
        past_caches = builder.module.add_metadata([ir.Constant(_I32, 1)])
        magnitude = ir.Constant(_FLOATS, [ir.Constant(_I32, _MAGNITUDE)] * (2 * _LANES))

        def copy(vector, offset):
            store = builder.store(vector, _place(builder, target, offset), align=VECTOR_BYTES)
            store.set_metadata("nontemporal", past_caches)
            found, so_far = builder.and_(builder.bitcast(vector, _FLOATS), magnitude), builder.load(largest)
            builder.store(builder.select(builder.icmp_unsigned(">", found, so_far), found, so_far), largest)

        folded = _fold(builder, crc, source, num_blocks, copy)
        top = _call(builder, f"llvm.vector.reduce.umax.v{2 * _LANES}i32", _I32, [builder.load(largest)])
        return builder.or_(folded, builder.shl(builder.zext(top, _I64), ir.Constant(_I64, 32)))

    return types.int64(types.int64, types.int64, types.int64, types.int64), codegen


def _fold(builder, crc, source, num_blocks, visit):
    """The CRC register after the blocks; `visit` sees each vector and its offset."""
    streams = [cgutils.alloca_once(builder, _VECTOR) for _ in range(STREAMS)]
    places = [ir.Constant(_I64, index * VECTOR_BYTES) for index in range(STREAMS)]
    for index, (stream, place) in enumerate(zip(streams, places, strict=True)):
        vector = builder.load(_place(builder, source, place), align=1)
        visit(vector, place)
        if index == 0:
            start = builder.insert_element(ir.Constant(_VECTOR, None), crc, ir.Constant(_I32, 0))
            vector = builder.xor(vector, start)
        builder.store(vector, stream)
    one, block = ir.Constant(_I64, 1), ir.Constant(_I64, BLOCK_BYTES)
    with cgutils.for_range_slice(builder, one, num_blocks, one) as (number, _):
        for stream, place in zip(streams, places, strict=True):
            offset = builder.add(builder.mul(number, block), place)
            _ask_for(builder, builder.add(source, offset))
            vector = builder.load(_place(builder, source, offset), align=1)
            visit(vector, offset)
            builder.store(_folded(builder, builder.load(stream), vector, STREAMS * VECTOR_BITS), stream)
    first, *others = (builder.load(stream) for stream in streams)
    for vector in others:
        first = _folded(builder, first, vector, VECTOR_BITS)
    register = ir.Constant(_I64, 0)
    for lane in range(_LANES):
        register = _crc32(builder, register, builder.extract_element(first, ir.Constant(_I32, lane)))
    return register


def _ask_for(builder, address):
    """Prefetches what will be read from this address on; a hint, which may point anywhere."""
    ahead = builder.inttoptr(builder.add(address, ir.Constant(_I64, _AHEAD_BYTES)), _I8.as_pointer())
    read, keep, data = (ir.Constant(_I32, number) for number in (0, 3, 1))
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), [ahead, read, keep, data])


def _folded(builder, vector, behind, distance_bits):
    """What has the CRC of `vector` and, so many bits later, `behind`."""
    pair = [_power(distance_bits + 32), _power(distance_bits - 32)]
    powers = ir.Constant(_VECTOR, [ir.Constant(_I64, power) for power in pair * (_LANES // 2)])
    halves = [
        _call(builder, _MULTIPLY[VECTOR_BITS], _VECTOR, [vector, powers, ir.Constant(_I8, which)])
        for which in (0x00, 0x11)
    ]
    return builder.xor(builder.xor(*halves), behind)


def _power(exponent: int) -> int:
    """x^exponent mod P, reflected, in the place where a product of two reflected numbers needs it."""
    power = 1
    for _ in range(exponent):
        power <<= 1
        if power >> 32:
            power ^= 1 << 32 | _POLYNOMIAL
    return int(f"{power:032b}"[::-1], 2) << 1


def _place(builder, address, offset):
    return builder.inttoptr(builder.add(address, offset), _VECTOR.as_pointer())


def _crc32(builder, register, word):
    if _IS_ARM:
        after = _call(builder, "llvm.aarch64.crc32cx", _I32, [builder.trunc(register, _I32), word])
        return builder.zext(after, _I64)
    return _call(builder, "llvm.x86.sse42.crc32.64.64", _I64, [register, word])


def _call(builder, name, result, arguments):
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)
