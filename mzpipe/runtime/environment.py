"""Environment of mzpipe's processes, set before numpy, numba or torch are loaded."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from pathlib import Path

from .. import __version__
from ..errors import InputOutputError

_THREAD_CAPS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_PACKAGE = Path(__file__).resolve().parent.parent
# Of the cache that this process uses: open, and locked, as long as it lives.
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
    """PYTHONPATH with this package first: a child runs the same code, from a clone that is not installed too.

    An empty entry is left out: Python takes it for the current directory.
    """
    home, others = str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([home, *(entry for entry in others if entry not in ("", home))])


def prepare_environment() -> None:
    """Gives this process the kernel cache and one thread per library; before their first import.

    Raises InputOutputError where somebody else could put kernels into the cache: they are code that will run.
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
            "and what lies there is run: remove it, or point XDG_CACHE_HOME to a directory of your own"
        )


def _make_and_hold(cache: Path) -> None:
    """The first cache of this process is held, because numba keeps to it."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    while not _held:
        with contextlib.suppress(FileNotFoundError):  # somebody is removing it: once more
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _open_locked(cache, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(descriptor), cache.stat()):
                _held.append(descriptor)


def remove_unused(cache: Path) -> bool:
    """Removes a kernel cache unless a process that lives uses it; says whether it did."""
    try:
        descriptor = _open_locked(cache, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    shutil.rmtree(cache, ignore_errors=True)
    os.close(descriptor)
    return True


def _open_locked(cache: Path, operation: int) -> int:
    """Raises BlockingIOError where the lock is another's; a file system without locks does without."""
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
    """Where compiled kernels are kept: private, and a new place whenever a source file changes.

    Numba looks only at a kernel's own file when it validates its cache, so the
    place is named by the contents of the whole package.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for source in sorted(_PACKAGE.rglob("*.py")):
        with contextlib.suppress(FileNotFoundError):  # somebody updates the package while a run goes on
            digest.update(source.read_bytes())
    return base / "mzpipe" / f"kernels-{__version__}-{digest.hexdigest()[:16]}"
