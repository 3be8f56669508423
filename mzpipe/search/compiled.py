"""How every search kernel is compiled."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from numba import njit, typeof

# _nrt=False: the kernels allocate nothing and keep no reference, so arrays come and go without counting references,
# which took a third of the time of a simulation. error_model: floats follow IEEE 754, no branch for a zero divisor; no
# kernel divides integers by a variable. fastmath stays off: the bits of a result must not depend on the compiler.
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
    """A kernel that Python calls: kept on disk between processes.

    Numba checks what it keeps against the one file that the kernel stands in. The name under which it is kept says what
    all the others held, so that a change in any of them leaves no kernel of before in use.
    """
    function.__qualname__ = f"{function.__name__}-{_DIGEST}"
    return njit(cache=True, **_OPTIONS)(function)


# Kernels that only other kernels call: compiled into each of them.
kernel: Any = njit(**_OPTIONS)
# Merged into their caller before it is typed: expressions that the vectoriser must see, whatever returns a view, which
# a kernel that keeps no reference cannot, and whatever takes a whole Tree in every simulation: handing over its arrays
# costs more than most of the work.
expression: Any = njit(inline="always", **_OPTIONS)


def seal(kernel: Any, *arguments: Any) -> bool:
    """Compiles a kernel for the kinds of these arguments and for no others; False where nothing is compiled at all.

    A call with another kind then raises TypeError at once, instead of compiling for seconds: the kernel itself checks
    what Python would have to look at before every call.
    """
    if not hasattr(kernel, "disable_compile"):
        return False
    if not kernel.signatures:
        kernel.compile(tuple(typeof(argument) for argument in arguments))
        kernel.disable_compile()
    return True
