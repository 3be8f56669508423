"""The environment of mzpipe's processes, set before numpy, numba or torch are loaded."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from pathlib import Path

from ..errors import InputOutputError
from ..version import __version__

_THREAD_CAPS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_PACKAGE = Path(__file__).resolve().parent.parent
# The descriptor of this process's cache; it stays open and locked as long as the process lives.
_held: list[int] = []


def child_environment(num_threads: int) -> dict[str, str]:
    """This process's environment for a child with `num_threads` intra-op threads."""
    caps = {name: str(num_threads) for name in _THREAD_CAPS}
    return {
        **os.environ,
        **caps,
        "NUMBA_CACHE_DIR": str(kernel_cache()),
        "PYGAME_HIDE_SUPPORT_PROMPT": "1",
        "PYTHONPATH": _module_path(),
    }


def _module_path() -> str:
    """PYTHONPATH with this package first, so that a child runs the same code, even from a clone that is not installed.

    An empty entry is left out: Python takes it for the current directory.
    """
    home, others = str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([home, *(entry for entry in others if entry not in ("", home))])


def prepare_environment() -> None:
    """Sets the kernel cache and one thread per library; call it before their first import.

    Raises InputOutputError when another user could put kernels into the cache: they are code that will run.
    """
    os.environ.update({key: value for key, value in child_environment(1).items() if key not in os.environ})
    cache = kernel_cache()
    try:
        _make_and_hold(cache)
        status = cache.stat()
    except OSError as error:
        raise InputOutputError(
            f"kernel cache {cache}: {error.strerror}: point XDG_CACHE_HOME to a directory that you can write to"
        ) from None
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputOutputError(
            f"kernel cache {cache}: others can write to it (owner {status.st_uid}, mode {status.st_mode & 0o777:o}), "
            "and mzpipe runs the code in it: remove it, or point XDG_CACHE_HOME to a directory of your own"
        )


def _make_and_hold(cache: Path) -> None:
    """Makes the cache, and holds the first one of this process, because numba does not change to another."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    while not _held:
        with contextlib.suppress(FileNotFoundError):  # another process is removing it: try again
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _open_locked(cache, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(descriptor), cache.stat()):
                _held.append(descriptor)


def remove_unused(cache: Path) -> bool:
    """Removes a kernel cache unless a live process uses it; returns whether it did."""
    try:
        descriptor = _open_locked(cache, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    shutil.rmtree(cache, ignore_errors=True)
    os.close(descriptor)
    return True


def _open_locked(cache: Path, operation: int) -> int:
    """Opens and locks the cache, or only opens it if its file system has no locks.

    Raises BlockingIOError if another process holds the lock.
    """
    descriptor = os.open(cache, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        pass
    return descriptor


def kernel_cache() -> Path:
    """The directory of compiled kernels: private, and a new one whenever a source file changes.

    Numba looks only at a kernel's own file when it validates its cache, so the
    directory is named by the contents of the whole package.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for source in sorted(_PACKAGE.rglob("*.py")):
        with contextlib.suppress(FileNotFoundError):  # the package is being updated during a run
            digest.update(source.read_bytes())
    return base / "mzpipe" / f"kernels-{__version__}-{digest.hexdigest()[:16]}"
