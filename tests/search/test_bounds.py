"""No kernel reads or writes outside of its arrays, whatever it is given."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

NUM_SEARCHES = 300  # two trees each


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.timeout(400)
def test_no_index_leaves_its_array_in_random_searches():
    """With the bisection of rows.keep_threshold bounded just above 1.0 and shorten_equals without its limit, as both
    once were, the process ended with `IndexError: index is out of bounds`, raised by a backup."""
    cache = Path(numba.config.CACHE_DIR) / "bounds-checked"
    found = subprocess.run(
        [sys.executable, "-m", "tests.search.bounds_fuzz", str(NUM_SEARCHES)],
        env=os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert found.returncode == 0, found.stderr
