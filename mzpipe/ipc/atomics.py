"""Atomic words between processes: every memory ordering in mzpipe comes from this file.

Each intrinsic emits one LLVM instruction on a word of `words`, which is a C-contiguous
int64 array in a shared mapping (the mapping and our layouts align it to 8 bytes), or
the address of such an array while the mapping exists:

    load_acquire     load atomic i64, acquire
    load_relaxed     load atomic i64, monotonic (whole, in no order)
    store_release    store atomic i64, release
    store_relaxed    store atomic i64, monotonic (whole, in no order)
    load_ordered     load atomic i64, seq_cst
    store_ordered    store atomic i64, seq_cst
    fetch_add        atomicrmw add, seq_cst (a full barrier)
    fence            fence seq_cst

Four functions call the C library: futex_wait and futex_wake (process-shared, on
the low 32 bits of the word; little-endian only), yield_core, monotonic_ns.

All are compiled: a process started with NUMBA_DISABLE_JIT=1 cannot use them.

A call from Python costs more than the kernel itself: unpacking an array takes 0.1 us, and finding the kernel for the
arguments' types takes as long again. `entry` avoids both; the function it returns takes addresses and other int64.
Very short kernels keep the interpreter's lock (no nogil), because releasing and retaking it costs 30 ns more.
"""

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..supported import refuse_others

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_POINTER = ir.IntType(8).as_pointer()
_SYSCALL_FUTEX = {"x86_64": 202, "aarch64": 98}
_CLOCK_MONOTONIC = 1
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1  # without FUTEX_PRIVATE_FLAG: the waiter is another process
_NS_PER_S = 1_000_000_000

MACHINE = platform.machine()
refuse_others()


def _word_pointer(context, builder, array_type, array, index):
    if isinstance(array_type, types.Integer):
        pointer = builder.inttoptr(array, _I64.as_pointer())
        return builder.gep(pointer, [index])
    struct = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, struct, [index], wraparound=False)


def _make_load(ordering):
    def load(typing_context, words, index):
        def codegen(context, builder, signature, args):
            pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
            return builder.load_atomic(pointer, ordering=ordering, align=8)

        return types.int64(words, types.intp), codegen

    return load


def _make_store(ordering):
    def store(typing_context, words, index, value):
        def codegen(context, builder, signature, args):
            pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
            builder.store_atomic(args[2], pointer, ordering=ordering, align=8)
            return context.get_dummy_value()

        return types.void(words, types.intp, types.int64), codegen

    return store


_load_acquire = intrinsic(_make_load("acquire"))
_load_relaxed = intrinsic(_make_load("monotonic"))
_load_ordered = intrinsic(_make_load("seq_cst"))
_store_release = intrinsic(_make_store("release"))
_store_relaxed = intrinsic(_make_store("monotonic"))
_store_ordered = intrinsic(_make_store("seq_cst"))


@intrinsic
def _fetch_add(typing_context, words, index, value):
    def codegen(context, builder, signature, args):
        pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.int64(words, types.intp, types.int64), codegen


@intrinsic
def _fence(typing_context):
    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _pause_core(typing_context):
    def codegen(context, builder, signature, args):
        if MACHINE == "x86_64":
            function_type = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _yield_core(typing_context):
    def codegen(context, builder, signature, args):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, []), "sched_yield")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _monotonic_ns(typing_context):
    def codegen(context, builder, signature, args):
        timespec = cgutils.alloca_once(builder, ir.ArrayType(_I64, 2))
        function_type = ir.FunctionType(_I32, [_I32, _POINTER])
        function = cgutils.get_or_insert_function(builder.module, function_type, "clock_gettime")
        builder.call(function, [ir.Constant(_I32, _CLOCK_MONOTONIC), builder.bitcast(timespec, _POINTER)])
        words = builder.load(timespec)
        seconds, rest = builder.extract_value(words, 0), builder.extract_value(words, 1)
        return builder.add(builder.mul(seconds, ir.Constant(_I64, _NS_PER_S)), rest)

    return types.int64(), codegen


def _futex(builder, pointer, operation, value, timeout):
    function_type = ir.FunctionType(_I64, [_I64, _POINTER, _I64, _I64, _POINTER, _POINTER, _I64])
    function = cgutils.get_or_insert_function(builder.module, function_type, "syscall")
    number = ir.Constant(_I64, _SYSCALL_FUTEX[MACHINE])
    arguments = [number, builder.bitcast(pointer, _POINTER), ir.Constant(_I64, operation), value, timeout]
    return builder.call(function, [*arguments, ir.Constant(_POINTER, None), ir.Constant(_I64, 0)])


@intrinsic
def _futex_wait(typing_context, words, index, expected, timeout_ns):
    def codegen(context, builder, signature, args):
        pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
        timespec = cgutils.alloca_once(builder, ir.ArrayType(_I64, 2))
        second = ir.Constant(_I64, _NS_PER_S)
        parts = [builder.sdiv(args[3], second), builder.srem(args[3], second)]
        for place, part in enumerate(parts):
            builder.store(part, builder.gep(timespec, [ir.Constant(_I32, 0), ir.Constant(_I32, place)]))
        return _futex(builder, pointer, _FUTEX_WAIT, args[2], builder.bitcast(timespec, _POINTER))

    return types.int64(words, types.intp, types.int64, types.int64), codegen


@intrinsic
def _futex_wake(typing_context, words, index):
    def codegen(context, builder, signature, args):
        pointer = _word_pointer(context, builder, signature.args[0], args[0], args[1])
        return _futex(builder, pointer, _FUTEX_WAKE, ir.Constant(_I64, 1), ir.Constant(_POINTER, None))

    return types.int64(words, types.intp), codegen


@njit(cache=True, inline="never")
def load_acquire(words, index):
    """The word, and everything its writer wrote before its store_release."""
    return _load_acquire(words, index)


@njit(cache=True, inline="never")
def load_relaxed(words, index):
    """The word, whole, in no order to anything else."""
    return _load_relaxed(words, index)


@njit(cache=True, inline="never")
def store_release(words, index, value):
    """Stores the word after everything this thread wrote before it."""
    _store_release(words, index, value)


@njit(cache=True, inline="never")
def store_relaxed(words, index, value):
    """Stores the word, whole, in no order to anything else."""
    _store_relaxed(words, index, value)


@njit(cache=True, inline="never")
def load_ordered(words, index):
    """The word, in the single order of all seq_cst operations."""
    return _load_ordered(words, index)


@njit(cache=True, inline="never")
def store_ordered(words, index, value):
    """Stores the word, in the single order of all seq_cst operations."""
    _store_ordered(words, index, value)


@njit(cache=True, inline="never")
def fetch_add(words, index, value):
    """Adds to the word and returns its old value; a full barrier."""
    return _fetch_add(words, index, value)


@njit(cache=True, inline="never")
def fence():
    """A full barrier: everything before it is ordered before everything after it."""
    _fence()


@njit(cache=True, nogil=True, inline="never")
def pause_core():
    """Tells the core that this is a spin loop (x86-64 `pause`)."""
    _pause_core()


@njit(cache=True, nogil=True, inline="never")
def yield_core():
    """Lets another runnable thread have the core (sched_yield)."""
    _yield_core()


@njit(cache=True, nogil=True, inline="never")
def monotonic_ns():
    """CLOCK_MONOTONIC in nanoseconds."""
    return _monotonic_ns()


@njit(cache=True, nogil=True, inline="never")
def futex_wait(words, index, expected, timeout_ns):
    """Sleeps while the word's low half equals expected's, at most timeout_ns; may wake for no reason."""
    return _futex_wait(words, index, expected & 0xFFFFFFFF, timeout_ns)


@njit(cache=True, nogil=True, inline="never")
def futex_wake(words, index):
    """Wakes one sleeper on the word."""
    return _futex_wake(words, index)


def entry(kernel: Any, num_arguments: int) -> Callable[..., int]:
    """The kernel for callers in Python: compiled on return, it takes exactly `num_arguments` int64."""
    return kernel.compile((types.int64,) * num_arguments)
