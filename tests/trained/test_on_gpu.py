"""A trained agent that plays on a GPU: the answers of the CPU, and a warning where the GPU runs without graphs."""

import numpy as np
import pytest
import torch

from mzpipe.errors import DeviceWarning
from mzpipe.planning import greedy_search
from mzpipe.trained.direct import DirectPlanner
from tests.tiny import make_plane, observations, random_model, tiny_profile
from tests.trained.test_direct import TREES, agent_of

pytestmark = pytest.mark.on_gpu


@pytest.fixture
def searched(tmp_path_factory):
    """What a search finds on a device."""

    def search(device):
        profile = tiny_profile(
            "inference.runtime=torch", "inference.precision=float32", f"inference.devices=[{device}]"
        )
        model = random_model(profile, make_plane(tmp_path_factory.mktemp("plane"), profile), 3)
        planner = DirectPlanner(agent_of(profile, model), greedy_search(profile.search, 0), num_trees=TREES)
        return planner.search(observations(TREES), np.ones((TREES, 2), bool))

    return search


def test_direct_search_on_a_gpu_finds_what_it_finds_on_the_cpu_and_warns_where_a_capture_fails(searched, monkeypatch):
    expected, captured = searched("'cpu'"), searched("0")

    def refuse(graph, **options):
        raise RuntimeError("no graphs here\nand more lines")

    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", refuse)
    said = r"^inference on cuda:0 goes on without CUDA graphs, .* because a capture failed: no graphs here$"
    with pytest.warns(DeviceWarning, match=said) as warned:
        eager = searched("0")
    assert len(warned) == 1
    for found in (captured, eager):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
