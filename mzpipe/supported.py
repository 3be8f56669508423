"""The machines that training runs on, asked before anything is imported that other machines lack.

`mzpipe.search` does not ask: it needs no more than numpy and Numba.
"""

import platform
import sys

from .errors import ExitCode, UsageError

# Where shared words are waited for by the kernel (ipc/atomics.py).
MACHINES = ("x86_64", "aarch64")
_PYTHON = (3, 11)
_NAMES = {"darwin": "macOS", "win32": "Windows"}


def why_not() -> str | None:
    """Why this Python or machine cannot run mzpipe, in one line; None if it can."""
    if sys.version_info < _PYTHON:
        return f"mzpipe needs Python {'.'.join(map(str, _PYTHON))} or newer; this is {platform.python_version()}"
    if sys.platform == "linux" and sys.byteorder == "little" and platform.machine() in MACHINES:
        return None
    here = f"{_NAMES.get(sys.platform, sys.platform)} on {platform.machine()}"
    return (
        f"mzpipe runs on little-endian Linux on {' and '.join(MACHINES)}; this is {here}: use a Linux machine, a "
        "container (docs/install.md) or, on Windows, WSL 2"
    )


def refuse_others() -> None:
    """Raises UsageError where mzpipe cannot run."""
    if line := why_not():
        raise UsageError(line)


def end_elsewhere() -> None:
    """Ends the program with one line where mzpipe cannot run."""
    if line := why_not():
        sys.stderr.write(f"mzpipe: {line}\n")
        sys.exit(ExitCode.USAGE)
