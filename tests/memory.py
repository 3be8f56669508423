"""Resident memory of a fresh process: in one that has run a while, freed pages are used again and nothing grows."""

import subprocess
import sys

_MEASURE = """
import resource
from pathlib import Path

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

{setup}
before = resident_bytes()
made = {expression}
print(resident_bytes() - before)
"""


def resident_growth(setup: str, expression: str) -> int:
    """Bytes that a process grows by when it evaluates `expression`."""
    code = _MEASURE.format(setup=setup, expression=expression)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=True)
    return int(done.stdout)
