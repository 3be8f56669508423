"""Resident memory of a fresh process: in one that has run a while, freed pages are used again and nothing grows."""

import subprocess
import sys

_MEASURE = """
import psutil
{setup}
before = psutil.Process().memory_info().rss
made = {expression}
print(psutil.Process().memory_info().rss - before)
"""


def resident_growth(setup: str, expression: str) -> int:
    """Bytes that a process grows by when it evaluates `expression`."""
    code = _MEASURE.format(setup=setup, expression=expression)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=True)
    return int(done.stdout)
