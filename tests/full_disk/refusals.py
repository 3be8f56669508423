"""Starts `child.py` with `refuse.c` loaded, and says which writers held."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.full_disk import writers
from tests.stand_in_gpu.build import compiler

NAMES = [kind.__name__ for kinds in writers.WRITERS.values() for kind in kinds]
PLANTED = [kind.__name__ for kind in writers.PLANTED]


def refuse_every_call(home: Path, names: Iterable[str] = (*NAMES, *PLANTED)) -> dict[str, dict]:
    """What was found of each writer, by its name; all run in one process. Needs a compiler."""
    source, library = Path(__file__).parent / "refuse.c", home / "refuse.so"
    subprocess.run([compiler(), "-x", "c", "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"], check=True)
    words = [sys.executable, "-m", "tests.full_disk.child", home, *names]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
    return {result["writer"]: result for result in map(json.loads, done.stdout.splitlines())}


def held(result: Mapping) -> bool:
    """Whether a writer lost nothing, though every one of its calls was refused in three ways or more."""
    return not result["faults"] and result["met"] >= 3 * len(result["calls"]) > 0
