"""A network of one's own on a GPU: in graphs as mzpipe's are, or without them where its code asks the device."""

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig, NetworkConfig
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import FlatWeights, Model, place_model
from mzpipe.nets.engines.networks import make_networks
from mzpipe.nets.engines.own_networks import expected_answers, moved
from tests.learner.batches import NUM_ACTIONS, make_batch
from tests.learner.test_step_on_gpu import on
from tests.stand_in_gpu import counted
from tests.tiny import observations, planned, tiny_profile

pytestmark = pytest.mark.on_gpu
GPU, ROWS = "cuda:0", np.arange(3)


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")


def walk(network):
    root = network.infer_roots(observations(3), ROWS).copy()
    return np.stack([root, network.infer_children(ROWS, ROWS + 3, (ROWS % 2).astype(np.int32))])


@pytest.mark.parametrize(("fault", "replays"), [("", 2), ("item", 0)])
def test_batches_are_graphs_unless_the_code_asks_the_device(fault, replays):
    notes, kind = [], ("network.kind=tests.nets.own_networks:Faulty", "network.hidden_size=64")
    profile = tiny_profile(*kind, f"network.arguments.fault='{fault}'", "inference.precision=float32")
    shape, device = planned(profile).shape, torch.device(GPU)
    (network,) = make_networks(profile, shape, device, count=1, pool_rows=8, max_batch=4, note=notes.append)
    network.prepare()
    model = moved(Model(profile.network, (4,), 2))
    network.load(FlatWeights(model).read())
    with counted() as seen:
        found = walk(network)
    np.testing.assert_allclose(found, expected_answers(model, observations(3), 2), rtol=1e-3, atol=1e-4)
    assert seen.replays == replays
    assert [note.partition(",")[0] for note in notes] == (
        ["inference on cuda:0 goes on without CUDA graphs"] * bool(fault)
    )


def losses(*, cuda_graphs):
    torch.manual_seed(0)
    config = NetworkConfig(kind="tests.nets.own_networks:Plain", value_support_size=6, reward_support_size=6)
    model = place_model(Model(config, (5,), NUM_ACTIONS, training_heads=True), GPU)
    notes = []
    step = TrainingStep(model, LearnerConfig(cuda_graphs=cuda_graphs), note=notes.append)
    with counted() as seen:
        found = [float(step(on(GPU, make_batch(seed=seed))).losses.total) for seed in range(6)]
    return found, seen.replays, notes


def test_a_training_step_is_a_graph_with_the_same_numbers():
    plain, _, _ = losses(cuda_graphs=False)
    captured, replays, notes = losses(cuda_graphs=True)
    assert captured == plain
    assert (replays, notes) == (4, [])
