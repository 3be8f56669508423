"""How every search kernel is compiled."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from numba import njit, typeof

# _nrt=False: the kernels allocate nothing and keep no reference, so no references are counted, which took a third of a
# simulation's time. error_model: floats follow IEEE 754, without a branch for a zero divisor; no kernel divides
# integers by a variable. fastmath stays off: the bits of a result must not depend on the compiler.
_OPTIONS: Any = {"_nrt": False, "nogil": True, "error_model": "numpy", "fastmath": False}


def _digest_of_sources() -> str:
    """Names the contents of all modules of the search: compiled kernels hold code and constants of many of them."""
    digest = hashlib.sha256()
    for source in sorted(files(__package__).iterdir(), key=lambda source: source.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


_DIGEST = _digest_of_sources()


def entry(function: Callable) -> Any:
    """A kernel that Python calls: it is cached on disk between processes.

    Numba checks its cache only against the file that the kernel stands in. The kernel's cached name therefore includes
    a digest of all modules, so that after a change in any of them no old kernel is used.
    """
    function.__qualname__ = f"{function.__name__}-{_DIGEST}"
    return njit(cache=True, **_OPTIONS)(function)


# Kernels that only other kernels call: compiled into each of them.
kernel: Any = njit(**_OPTIONS)
# Merged into their caller before it is typed: expressions that the vectoriser must see; functions that return a view,
# which a kernel without references cannot; and functions that take a whole Tree in every simulation, because passing
# its arrays costs more than most of the work.
expression: Any = njit(inline="always", **_OPTIONS)


def seal(kernel: Any, *arguments: Any) -> bool:
    """Compiles a kernel for the kinds of these arguments and for no others; returns False if the JIT is off.

    A call with another kind then raises TypeError at once instead of compiling for seconds, so Python need not check
    the kinds before every call.
    """
    if not hasattr(kernel, "disable_compile"):
        return False
    if not kernel.signatures:
        kernel.compile(tuple(typeof(argument) for argument in arguments))
        kernel.disable_compile()
    return True
