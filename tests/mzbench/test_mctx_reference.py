"""The installed mctx, in a process of its own, because jax's settings and threads last as long as the process."""

import os
import subprocess
import sys

import pytest

_SEARCH = """
import os
import numpy as np
from mzbench.search import mctx_reference
from mzpipe.measure.machine import one_core
from mzbench.search.search_models import Shape, random_outputs
from mzpipe.search import SearchConfig

with one_core():
    config, outputs = SearchConfig(num_simulations=9), random_outputs(Shape(2, 5, "flat", 9))
    search = mctx_reference.searcher(mctx_reference.load(), {name!r}, config, outputs)
    visits, values, q, policy = (np.asarray(array) for array in search())
assert visits.sum(axis=1).tolist() == [9, 9], visits
assert values.shape == (2,) and q.shape == policy.shape == (2, 5)
np.testing.assert_allclose(policy.sum(axis=1), 1.0, rtol=1e-5)
answers = {{np.asarray(search()[0]).tobytes() for _ in range(8)}}
assert len(answers) > 1, "every search drew the same noise"
assert os.environ["JAX_PLATFORMS"] == "cpu"
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mctx.muzero_policy", "mctx.gumbel_muzero_policy"])
def test_mctx_searches_every_tree_with_every_simulation_and_new_noise(name):
    environment = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # pytest's path has the benchmarks
    subprocess.run([sys.executable, "-c", _SEARCH.format(name=name)], check=True, env=environment, timeout=250)
