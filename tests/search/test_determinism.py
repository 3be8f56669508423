"""The same bits with the JIT on and off: one process of each kind searches the same models."""

import hashlib
import os
import subprocess
import sys

import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from tests.search.driver import peaked_model, random_model, run


def digest() -> str:
    """SHA-256 of everything that searches of all rules found, noise included."""
    digest = hashlib.sha256()
    rules: list[dict] = [{}, {"unvisited_q": "mean", "min_q_spread": 0.01}, {"policy": "gumbel"}]
    for fields in rules:
        for make_model in (random_model, peaked_model):
            search = BatchedSearch(SearchConfig(num_simulations=20, **fields), batch_size=3, num_actions=9, seed=4)
            run(search, make_model(11, 21, 3, 9))
            for array in (*search.result(), search.best_action()):
                digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.mark.jit
def test_search_has_the_same_bits_without_the_compiler():
    code = "from tests.search.test_determinism import digest; print(digest())"
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    assert plain.stdout.strip() == digest()
