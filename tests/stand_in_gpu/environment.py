"""The environment of a process that sees the stand-in."""

import json
import os
from pathlib import Path

from .build import library

ROOT = Path(__file__).parents[2]
_VARIABLE = "MZPIPE_STAND_IN_GPU"


def stand_in_environment(
    *, gpus: int = 1, num_bytes: int | None = None, bfloat16: bool = True, patience: int = 1, report: Path | None = None
) -> dict[str, str]:
    """The environment of a command that shall see the stand-in, also in the processes that it starts.

    `num_bytes` limits the memory of each device; an event says no `patience` times. A report is a directory, in which
    every process leaves what it has counted, even if it is killed: see `read_report`.
    """
    settings = {"library": str(library()), "gpus": gpus, "bytes": num_bytes, "bfloat16": bfloat16, "patience": patience}
    path = [str(Path(__file__).parent / "site"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        _VARIABLE: json.dumps({**settings, "report": report and str(report)}),
        "PYTHONPATH": os.pathsep.join(path),
    }


def is_here() -> bool:
    """Whether this process sees the stand-in."""
    return _VARIABLE in os.environ
