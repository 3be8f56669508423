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
@torch.inference_mode()
def test_search_on_a_gpu_sees_what_the_model_says_on_the_cpu(tmp_path, kind, precision):
    server = AskedServer(tmp_path, profiles(f"inference.precision={precision}")[kind], "cuda:0")
    model, shape, random = server.model, server.plane.shape, np.random.default_rng(0)
    observation = random.integers(0, 255, (3, *shape.observation_shape)).astype(shape.frame_dtype)
    answer, output = server.roots(observation), model.initial_inference(torch.from_numpy(observation))
    states, tolerance = [output.hidden_state], 1e-4 if precision == "float32" else 0.5
    for node in range(1, 5):
        for name, expected in (("value", model.value(output)), ("policy_logits", output.policy_logits_BA)):
            assert_close(answer[name], expected.numpy(), tolerance, f"{name} of node {node - 1}")
        if node > 1:
            assert_close(answer["reward"], model.reward(output).numpy(), tolerance, f"reward of node {node - 1}")
        parents, actions = random.integers(0, node, 3), random.integers(0, shape.num_actions, 3)
        chosen = torch.stack([states[parent][tree] for tree, parent in enumerate(parents.tolist())])
        answer, output = (
            server.children(node, parents, actions),
            model.recurrent_inference(chosen, torch.from_numpy(actions)),
        )
        states.append(output.hidden_state)


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
