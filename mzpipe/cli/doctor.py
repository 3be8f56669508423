"""`mzpipe doctor`: what this machine offers and what is missing, one line each."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain

from ..errors import ExitCode, InputOutputError, MzpipeError
from ..extras import EXTRAS, is_installed, require
from ..launch.plan import available_memory_bytes, free_shared_bytes, mebibytes
from ..measure.cluster.nodes import node_checks
from ..measure.gpu_trials import TRIALS, run_trial
from ..runs.directory import SHARED_MEMORY, runtime_prefix
from ..runtime.environment import kernel_cache

_PACKAGES = ("numpy", "numba", "torch", "gymnasium", "pyzmq", "msgpack", "safetensors", "crc32c", "rich")
_COMFORTABLE_SHARED_BYTES = 256 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--ray", default="", metavar="ADDRESS", help="check the nodes of a Ray cluster too")


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per check; exit code 2 when one failed."""
    failed = 0
    cache: Callable[[], str] = partial(_kernel_cache, arguments.cache_fault)
    for name, check in chain([("kernel cache", cache)], _CHECKS.items(), _gpu_checks(), _ray_checks(arguments.ray)):
        try:
            mark, text = "ok  ", check()
        except (MzpipeError, OSError, ImportError) as error:
            mark, text = "FAIL", str(error)
            failed += 1
        sys.stdout.write(f"{mark}  {name:<20} {text}\n")
        sys.stdout.flush()
    return ExitCode.USAGE if failed else ExitCode.FINISHED


def _python() -> str:
    return f"{platform.python_version()} at {sys.executable}"


def _packages() -> str:
    try:
        return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    except PackageNotFoundError as error:
        raise MzpipeError(f"{error.name} is not installed: pip install mzpipe, or in a clone `make install`") from None


def _extras() -> str:
    missing = sorted({extra for package, extra in EXTRAS.items() if not is_installed(package)})
    return f"not installed: {', '.join(missing)} (pip install 'mzpipe[all]')" if missing else "all are installed"


def _kernel_cache(fault: str) -> str:
    if fault:
        raise InputOutputError(fault)
    return str(kernel_cache())


def _cores() -> str:
    return f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}, {platform.machine()}"


def _memory() -> str:
    return f"{mebibytes(available_memory_bytes())} available"


def _shared_memory() -> str:
    free = free_shared_bytes()
    if free < _COMFORTABLE_SHARED_BYTES:
        raise MzpipeError(f"{mebibytes(free)} free in {SHARED_MEMORY}: runs need about 100 MiB; enlarge it")
    return f"{mebibytes(free)} free in {SHARED_MEMORY}"


def _atomics() -> str:
    import numpy as np

    from ..ipc import atomics

    words = np.zeros(2, np.int64)
    atomics.store_release(words, 0, 7)
    if atomics.fetch_add(words, 0, 1) != 7 or atomics.load_acquire(words, 0) != 8:
        raise MzpipeError("atomic words do not work with this Numba")
    return "compiled and correct"


def _devices() -> str:
    from ..nets import resolve_devices, unusable_gpu

    return "; ".join(filter(None, [", ".join(resolve_devices(["auto"])), unusable_gpu()]))


def _gpu_checks() -> Iterator[tuple[str, Callable[[], str]]]:
    """What each GPU can do, each tried in a process of its own: a fault of one takes no other with it."""
    try:
        from ..nets import resolve_devices
    except (ImportError, OSError):  # the line of the devices says so
        return
    for device in resolve_devices(["auto"]):
        if device != "cpu":
            yield from ((f"{device} {name}".strip(), partial(run_trial, name, device)) for name in TRIALS)


def _ray_checks(address: str) -> Iterator[tuple[str, Callable[[], str]]]:
    if address:
        require("ray", "--ray")
        yield from node_checks(address)


def _leftovers() -> str:
    found = sorted(path.name for path in SHARED_MEMORY.glob(f"{runtime_prefix()}*"))
    return f"{', '.join(found)} (live, or left by a killed run: mzpipe clean)" if found else "none"


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "packages": _packages,
    "extras": _extras,
    "cores": _cores,
    "memory": _memory,
    "shared memory": _shared_memory,
    "atomics": _atomics,
    "devices": _devices,
    "runs in shm": _leftovers,
}
