"""Every kind of network on a GPU against the CPU: searches and training, in float32 and bfloat16."""

import numpy as np
import pytest
import torch

from tests.stand_in_gpu.agents import AskedServer, FedLearner, profiles

pytestmark = pytest.mark.on_gpu
KINDS = sorted(profiles())
PRECISIONS = ["float32", "bfloat16"]


def assert_close(found, expected, tolerance, name=""):
    """The largest difference is at most this part of the spread of what is expected."""
    error = np.abs(found - expected).max() / max(np.ptp(expected), 0.1)
    assert error <= tolerance, name


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_search_on_a_gpu_sees_what_it_sees_on_the_cpu(tmp_path, kind, precision):
    profile = profiles(f"inference.precision={precision}", "inference.runtime=torch")[kind]
    # Layouts differ, so sums are rounded at other places: to 8 bits in bfloat16.
    tolerance = 1e-4 if precision == "float32" else 0.02
    servers = []
    for device in ("cpu", "cuda:0"):
        (tmp_path / device).mkdir()
        servers.append(AskedServer(tmp_path / device, profile, device))
    shape, random = servers[0].plane.shape, np.random.default_rng(0)
    observation = random.integers(0, 255, (3, *shape.observation_shape)).astype(shape.frame_dtype)
    answers = [server.roots(observation) for server in servers]
    for node in range(1, 5):
        for name, expected in answers[0].items():
            if name != "reward" or node > 1:
                assert_close(answers[1][name], expected, tolerance, f"{name} of node {node - 1}")
        parents, actions = random.integers(0, node, 3), random.integers(0, shape.num_actions, 3)
        answers = [server.children(node, parents, actions) for server in servers]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_learner_on_a_gpu_learns_what_it_learns_on_the_cpu(tmp_path, kind, precision):
    off = ("learner.augment_shift=0", "learner.augment_intensity=0", "learner.checkpoint_interval=100")
    learners = {}
    for device, arithmetic in (("cpu", "float32"), ("cuda:0", precision)):
        (tmp_path / device).mkdir()
        profile = profiles(f"learner.precision={arithmetic}", *off)[kind]
        learners[device] = FedLearner(tmp_path / device, profile, device)
    expected, found = (np.array(learner.train(4)) for learner in learners.values())
    assert len(found) >= 3  # the last may be on its way
    tolerance = 1e-4 if precision == "float32" else 0.1
    assert_close(found, expected[: len(found)], tolerance)
    cpu, gpu = (learner.weights() for learner in learners.values())
    assert_close(gpu, cpu, tolerance)


def test_learner_counts_its_launches_and_the_time_of_the_device_a_step_later(tmp_path):
    profile = profiles("learner.checkpoint_interval=100")["mlp"]
    found = {}
    for device in ("cpu", "cuda:0"):
        (tmp_path / device).mkdir()
        fed = FedLearner(tmp_path / device, profile, device)
        torch.ops.stand_in_gpu.set_pace(1_000_000)
        fed.train(4)
        found[device] = [fed.learner._counters.value(name) for name in ("launch_time", "device_time")]
    launching, working = found["cuda:0"]
    assert found["cpu"] == [0.0, 0.0]
    assert launching > 0.0
    assert working == int(working) >= 2 * 50  # at least two steps of many kernels
