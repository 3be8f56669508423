"""Networks in every runtime: the same answers, the pool's rows in their places, weights exchanged as a whole."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mzpipe.errors import ConfigError, DeviceError
from mzpipe.nets import FlatWeights
from mzpipe.nets.engines.networks import Arithmetic, make_networks, resolve_arithmetic
from mzpipe.nets.engines.openvino_sessions import processor_has_bfloat16
from tests.tiny import make_plane, observations, random_model, tiny_profile

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
NODES, TREES = 4, 3
RUNTIMES = ("torch", "onnxruntime", "openvino")
# CartPole's four numbers as an image of one row, so that convolutions have something to do.
RESIDUAL = ("network.kind=residual", "network.downsample=none", "network.num_channels=8", "network.head_channels=4")


def profile_of(runtime, *overrides):
    return tiny_profile(f"inference.runtime={runtime}", "inference.precision=float32", *overrides)


@pytest.fixture
def plane(tmp_path):
    return make_plane(tmp_path, tiny_profile())


def networks(plane, runtime, count=2, overrides=()):
    profile = profile_of(runtime, *overrides)
    return make_networks(profile, plane.shape, CPU, count=count, pool_rows=NODES * TREES, max_batch=TREES)


def walk(network, seed=0):
    """Answers of a root inference and of three children, each from a parent further up."""
    answers = [network.infer_roots(observations(TREES, seed), np.arange(TREES) * NODES).copy()]
    for node in range(1, NODES):
        source, target = np.arange(TREES) * NODES + node // 2, np.arange(TREES) * NODES + node
        action = ((np.arange(TREES) + node) % 2).astype(np.int32)
        answers.append(network.infer_children(source, target, action).copy())
    return np.array(answers)


def weights(plane, seed, overrides=()):
    return FlatWeights(random_model(tiny_profile(*overrides), plane, seed)).read()


def answers(plane, runtime, overrides=()):
    network = networks(plane, runtime, overrides=overrides)[0]
    network.load(weights(plane, 1, overrides))
    return walk(network)


def test_all_runtimes_give_the_same_answers(plane):
    found = {runtime: answers(plane, runtime) for runtime in RUNTIMES}
    assert found["torch"].shape == (NODES, TREES, 2 + 2)
    assert (found["torch"][0, :, 0] == 0.0).all()
    assert np.std(found["torch"][1:], axis=1).min() > 1e-4
    np.testing.assert_allclose(found["onnxruntime"], found["torch"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["openvino"], found["torch"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_network_that_is_loaded_again_answers_like_one_that_never_had_other_weights(plane, runtime):
    used, fresh = networks(plane, runtime)
    used.load(weights(plane, 1))
    former = walk(used)
    used.load(weights(plane, 2))
    fresh.load(weights(plane, 2))
    np.testing.assert_array_equal(walk(used), walk(fresh))
    assert not np.allclose(walk(used), former, atol=1e-3)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_networks_share_one_pool(plane, runtime):
    first, second = networks(plane, runtime)
    for network in (first, second):
        network.load(weights(plane, 1))
    rows = np.arange(TREES) * NODES
    first.infer_roots(observations(TREES), rows)
    action = np.zeros(TREES, np.int32)
    expected = first.infer_children(rows, rows + 1, action).copy()
    np.testing.assert_array_equal(second.infer_children(rows, rows + 2, action), expected)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_batches_of_fewer_rows_are_the_first_rows_of_larger_ones(plane, runtime):
    network = networks(plane, runtime)[0]
    network.load(weights(plane, 1))
    rows, action = np.arange(TREES) * NODES, np.zeros(TREES, np.int32)
    network.infer_roots(observations(TREES), rows)
    expected = network.infer_children(rows, rows + 1, action).copy()
    for few in (1, 2, 1):
        found = network.infer_children(rows[:few], rows[:few] + 1, action[:few])
        np.testing.assert_allclose(found, expected[:few], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_answers_in_bfloat16_differ_by_its_rounding(plane, runtime):
    if runtime == "openvino" and not processor_has_bfloat16():
        pytest.skip("this processor has no bfloat16 instructions")
    exact = answers(plane, runtime)
    rounded = answers(plane, runtime, ("inference.precision=bfloat16",))
    assert (rounded != exact).any()
    np.testing.assert_allclose(rounded, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_in_tf32_are_those_in_float32_on_a_cpu(plane, runtime):
    np.testing.assert_array_equal(answers(plane, runtime, ("inference.precision=tf32",)), answers(plane, runtime))


@pytest.mark.parametrize(
    ("overrides", "device", "expected"),
    [
        ((), GPU, "torch"),
        ((), CPU, "onnxruntime"),
        (RESIDUAL, CPU, "openvino"),
        (("inference.precision=bfloat16",), CPU, "openvino"),
        (("inference.runtime=torch",), CPU, "torch"),
        ((*RESIDUAL, "inference.runtime=onnxruntime"), CPU, "onnxruntime"),
    ],
)
def test_auto_is_torch_on_a_gpu_and_on_a_cpu_what_runs_the_network_fastest(overrides, device, expected):
    assert resolve_arithmetic(tiny_profile(*overrides), device).runtime == expected


def test_auto_computes_in_bfloat16_where_the_processor_does(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr("mzpipe.nets.engines.openvino_sessions.processor_has_bfloat16", lambda has=has: has)
        assert resolve_arithmetic(tiny_profile(*RESIDUAL), CPU) == Arithmetic("openvino", has)
        assert resolve_arithmetic(tiny_profile(), CPU) == Arithmetic("onnxruntime", False)
        assert resolve_arithmetic(tiny_profile("inference.runtime=torch"), CPU) == Arithmetic("torch", False)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_runtime_for_cpus_is_refused_on_a_gpu(runtime):
    with pytest.raises(DeviceError, match=rf'inference\.runtime="{runtime}" runs on CPUs, not on cuda:0'):
        resolve_arithmetic(profile_of(runtime), GPU)


def test_bfloat16_is_refused_where_the_processor_has_none(plane, monkeypatch):
    monkeypatch.setattr("mzpipe.nets.engines.openvino_sessions.processor_has_bfloat16", lambda: False)
    with pytest.raises(DeviceError, match=r'inference\.precision="bfloat16": this processor has no instructions'):
        networks(plane, "openvino", overrides=("inference.precision=bfloat16",))


def test_a_signal_is_survived_after_two_users_of_openvino_are_gone():
    """A core that is let go restores the signal handlers' stack that it found, even one that another has freed."""
    program = """
import gc, signal
from mzpipe.nets.engines.openvino_sessions import shared_core
signal.signal(signal.SIGUSR1, lambda number, frame: None)
cores = []
for _ in range(2):
    cores.append(shared_core())
    cores[-1].get_property("CPU", "OPTIMIZATION_CAPABILITIES")
while cores:
    del cores[0]
    gc.collect()
signal.raise_signal(signal.SIGUSR1)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=250).returncode == 0


def test_bfloat16_is_refused_in_onnxruntime():
    with pytest.raises(ConfigError, match=r"inference\.runtime='onnxruntime' has no bfloat16 on CPUs: set"):
        profile_of("onnxruntime", "inference.precision=bfloat16")
