"""Candidates on a GPU: drawn inside the captured graphs, the same as on the CPU, without a wait."""

import numpy as np
import pytest
import torch

from mzpipe.nets import FlatWeights
from mzpipe.nets.engines.torch_flight import Runway
from mzpipe.nets.engines.torch_network import make_torch_networks
from tests.nets.test_candidates import HEADS, SHAPES, K, model_of
from tests.stand_in_gpu import counted

pytestmark = pytest.mark.on_gpu
ROWS = 4


def answers(model, shape, runway):
    """Those of roots and of their children by different places."""
    (network,) = make_torch_networks(
        model,
        torch.zeros(1, *shape),
        model.num_policy_columns,
        runway,
        count=1,
        pool_rows=2 * ROWS,
        max_batch=ROWS,
        bfloat16=False,
    )
    network.prepare()
    network.load(FlatWeights(model).read())
    roots, places = np.arange(ROWS), np.array([0, 5, 11, K - 1], np.int32)
    observation = np.random.default_rng(0).random((ROWS, *shape), np.float32)
    found = [network.infer_roots(observation, roots).copy()]
    with counted() as seen:
        found.append(network.infer_children(roots, roots + ROWS, places).copy())
    return np.array(found), seen


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", SHAPES)
def test_graphs_draw_what_the_cpu_draws_in_one_replay(kind, head):
    model, shape = model_of(kind, head)
    on_cpu, _ = answers(model, shape, Runway(torch.device("cpu")))
    on_gpu, seen = answers(model, shape, Runway(torch.device("cuda:0")))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-3)
    assert (seen.replays, seen.launches) == (1, 1) and seen.h2d_blocking == seen.d2h_blocking == 0
