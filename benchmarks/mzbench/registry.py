"""The cases of `mzpipe bench`, by name; a case's module is loaded only when it is used."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from mzpipe.errors import UsageError

from .report import CaseResult

# Called with the number of finished shapes, their total, and the current one.
ShapeProgress = Callable[[int, int, str], None]

CASES = {
    "search": "simulations/s of the tree work alone, against mctx and plain NumPy",
    "search-parts": "nanoseconds of each part of a simulation, against the fused kernel",
    "deep": "simulations/s of one position with a trained run, several leaves in flight, against one",
    "sampled": "simulations/s of whole searches where actions are sampled, against a list of as many",
    "replay": "batches, priorities and insertion of the replay table, against memcpy, plain NumPy and cpprb",
    "learner": "training steps/s fed from the batch ring, against the same steps on a resident batch; two ranks",
    "games": "moves/s of Atari's emulators on one core, against EnvPool",
    "ipc": "rings, doorbells, lanes and weights between processes, against memcpy, a cache-line ping-pong and zmq",
    "bridge": "trajectories and weights of a pod over loopback TCP, against ZeroMQ alone with the same bytes",
}

# The case of a new card, which has sections instead of references; it is run only when it is named.
GPU = "gpu"

# Modules of this package with measure(*, quick: bool, progress: ShapeProgress) -> CaseResult.
_MODULES = {
    "search": "search.search",
    "search-parts": "search.search_parts",
    "deep": "deep.case",
    "sampled": "sampled",
    "replay": "replay.case",
    "learner": "learner.case",
    "games": "games",
    "ipc": "ipc.case",
    "bridge": "bridge.case",
}


def chosen_cases(name: str | None) -> list[str]:
    """The case called `name`, or every case for None; raises UsageError if there is no such case."""
    if name is None:
        return list(CASES)
    if name not in CASES:
        raise UsageError(f"{name}: no such case; there are: {', '.join([*CASES, GPU])}")
    return [name]


def measure(name: str, *, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Measures the case `name` on this machine, now."""
    module = import_module(f".{_MODULES[name]}", __package__)
    return cast(CaseResult, module.measure(quick=quick, progress=progress))
