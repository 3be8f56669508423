"""The heads that only the learner has: in its checkpoints, not in published weights, nowhere else."""

import dataclasses

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.errors import CheckpointError
from mzpipe.nets import FlatWeights, Model, numpy_state, restore_model
from mzpipe.nets.model import training_only_names
from mzpipe.runs.checkpoint import Checkpoint

SIZES = {"consistency_projection_size": 12, "consistency_hidden_size": 7}
CONFIGS = {
    "mlp": (NetworkConfig(hidden_size=16, consistency=True, reconstruction=True, **SIZES), (4,)),
    "residual": (
        NetworkConfig(kind="residual", num_channels=8, head_channels=4, consistency=True, value_prefix=True, **SIZES),
        (3, 32, 32),
    ),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def models(request):
    """The learner's model and another process's."""
    config, shape = request.param
    learners = Model(config, shape, 3, training_heads=True)
    learners.train()
    root = learners.initial_inference(torch.rand(4, *shape))  # moves batch statistics
    learners.consistency(root.hidden_state[:, : learners.state_size], torch.rand(4, learners.state_size))
    return learners, Model(config, shape, 3)


def names(model):
    return set(model.state_dict())


def test_only_the_learners_model_has_the_training_heads(models):
    learners, others = models
    assert others.consistency is others.decoder is None
    assert names(learners) - names(others) == training_only_names(learners) == training_only_names(others)
    heads = {"consistency"} | ({"decoder"} if learners.config.reconstruction else set())
    assert {name.partition(".")[0] for name in training_only_names(learners)} == heads
    assert names(others) < names(learners)


def test_published_weights_are_those_of_the_model_without_training_heads(models):
    learners, others = models
    flat = FlatWeights(learners).read()
    assert flat.size == FlatWeights(learners).size == FlatWeights(others).size
    FlatWeights(others).write(flat)
    np.testing.assert_array_equal(FlatWeights(others).read(), flat)
    for name, tensor in others.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, learners.state_dict()[name]), name


def test_learners_checkpoint_holds_the_training_heads_and_loads_everywhere(models):
    learners, others = models
    checkpoint = Checkpoint(numpy_state(learners), {}, {})
    assert training_only_names(learners) <= checkpoint.weights.keys()
    successor = Model(learners.config, CONFIGS[learners.config.kind][1], 3, training_heads=True)
    for model in (others, successor):
        restore_model(model, checkpoint)
        assert all(torch.equal(tensor, learners.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_restore_refuses_every_other_unknown_tensor(models):
    learners, others = models
    weights = numpy_state(learners)
    weights["consistency.another.weight"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError, match=r"consistency\.another\.weight is only in one of the two"):
        restore_model(others, Checkpoint(weights, {}, {}))


def test_restore_refuses_a_checkpoint_without_training_heads_for_the_learner(models):
    learners, others = models
    with pytest.raises(CheckpointError, match=r"consistency\.[a-z0-9_.]+ is only in one of the two"):
        restore_model(learners, Checkpoint(numpy_state(others), {}, {}))


def test_restore_refuses_training_heads_that_the_profile_does_not_have():
    config, shape = CONFIGS["mlp"]
    learners = Model(config, shape, 3, training_heads=True)
    plain = Model(dataclasses.replace(config, consistency=False), shape, 3)
    with pytest.raises(CheckpointError, match=r"consistency\.[a-z0-9_.]+ is only in one of the two"):
        restore_model(plain, Checkpoint(numpy_state(learners), {}, {}))


def test_training_heads_change_nothing_else():
    for config, shape in CONFIGS.values():
        torch.manual_seed(3)
        with_heads = Model(config, shape, 3, training_heads=True)
        torch.manual_seed(3)
        without = Model(config, shape, 3)
        assert all(torch.equal(tensor, with_heads.state_dict()[name]) for name, tensor in without.state_dict().items())
        assert list(with_heads.state_dict())[: len(without.state_dict())] == list(without.state_dict())
