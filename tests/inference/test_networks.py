"""Networks in both runtimes: the same answers, the pool's rows in their places, weights exchanged as a whole."""

import numpy as np
import pytest
import torch

from mzpipe.errors import DeviceError
from mzpipe.inference.networks import make_networks, resolve_runtime
from mzpipe.nets import FlatWeights
from tests.tiny import make_plane, observations, random_model, tiny_profile

CPU = torch.device("cpu")
NODES, TREES = 4, 3


def profile_of(runtime):
    return tiny_profile(f"inference.runtime={runtime}")


@pytest.fixture
def plane(tmp_path):
    return make_plane(tmp_path, tiny_profile())


def networks(plane, runtime, count=2):
    profile = profile_of(runtime)
    return make_networks(profile, plane.shape, CPU, count=count, pool_rows=NODES * TREES, max_batch=TREES)


def walk(network, seed=0):
    """Answers of a root inference and of three children, each from a parent further up."""
    answers = [network.infer_roots(observations(TREES, seed), np.arange(TREES) * NODES).copy()]
    for node in range(1, NODES):
        source, target = np.arange(TREES) * NODES + node // 2, np.arange(TREES) * NODES + node
        action = ((np.arange(TREES) + node) % 2).astype(np.int32)
        answers.append(network.infer_children(source, target, action).copy())
    return np.array(answers)


def weights(plane, seed):
    return FlatWeights(random_model(tiny_profile(), plane, seed)).read()


def test_both_runtimes_give_the_same_answers(plane):
    found = {}
    for runtime in ("torch", "onnxruntime"):
        network = networks(plane, runtime)[0]
        network.load(weights(plane, 1))
        found[runtime] = walk(network)
    assert found["torch"].shape == (NODES, TREES, 2 + 2)
    assert (found["torch"][0, :, 0] == 0.0).all()
    assert np.std(found["torch"][1:], axis=1).min() > 1e-4
    np.testing.assert_allclose(found["onnxruntime"], found["torch"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_network_that_is_loaded_again_says_what_one_says_that_never_had_other_weights(plane, runtime):
    used, fresh = networks(plane, runtime)
    used.load(weights(plane, 1))
    former = walk(used)
    used.load(weights(plane, 2))
    fresh.load(weights(plane, 2))
    np.testing.assert_array_equal(walk(used), walk(fresh))
    assert not np.allclose(walk(used), former, atol=1e-3)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_networks_share_one_pool(plane, runtime):
    first, second = networks(plane, runtime)
    for network in (first, second):
        network.load(weights(plane, 1))
    rows = np.arange(TREES) * NODES
    first.infer_roots(observations(TREES), rows)
    action = np.zeros(TREES, np.int32)
    expected = first.infer_children(rows, rows + 1, action).copy()
    np.testing.assert_array_equal(second.infer_children(rows, rows + 2, action), expected)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_batches_of_fewer_rows_are_the_first_rows_of_larger_ones(plane, runtime):
    network = networks(plane, runtime)[0]
    network.load(weights(plane, 1))
    rows, action = np.arange(TREES) * NODES, np.zeros(TREES, np.int32)
    network.infer_roots(observations(TREES), rows)
    expected = network.infer_children(rows, rows + 1, action).copy()
    for few in (1, 2, 1):
        found = network.infer_children(rows[:few], rows[:few] + 1, action[:few])
        np.testing.assert_allclose(found, expected[:few], rtol=1e-5, atol=1e-6)


def test_auto_is_onnxruntime_on_a_cpu_and_torch_on_a_gpu():
    assert resolve_runtime(profile_of("auto"), CPU) == "onnxruntime"
    assert resolve_runtime(profile_of("auto"), torch.device("cuda:0")) == "torch"
    assert resolve_runtime(profile_of("torch"), CPU) == "torch"
    with pytest.raises(DeviceError, match=r'inference\.runtime="onnxruntime" runs on CPUs, not on cuda:0'):
        resolve_runtime(profile_of("onnxruntime"), torch.device("cuda:0"))
