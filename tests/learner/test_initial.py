"""A learner that begins with given weights: what it trains, publishes and saves, and when it leaves them alone."""

import shutil

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig, NetworkConfig
from mzpipe.learner.average import AverageWeights
from mzpipe.learner.saving import begin_with, make_checkpoint, restore_checkpoint
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model, numpy_state
from mzpipe.runs.initial import Initial, discard_initial, read_initial, write_initial
from tests.learner.batches import make_batch
from tests.learner.test_learner import Bench, second_rank  # noqa: F401 - a fixture
from tests.tiny import tiny_profile
from tests.trained.runs import shaken_model


@pytest.fixture
def given(tmp_path):
    """Weights in the runtime directory of the next bench in `tmp_path`, and that directory."""
    weights, runtime = numpy_state(shaken_model(tiny_profile(), seed=5)), tmp_path / "runtime"
    runtime.mkdir()
    write_initial(runtime, Initial(weights, ""))
    return weights, runtime


def assert_has(state, weights):
    assert set(weights) <= set(state)
    for name, array in weights.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_learner_begins_with_the_given_weights_and_a_fresh_optimiser(tmp_path, given, decay):
    weights, runtime = given
    bench = Bench(tmp_path, f"learner.average_decay={decay}")
    learner, saved = bench.learner, bench.store.load("step_00000000")
    for model in (learner._model, learner._played):
        assert_has(numpy_state(model), weights)
    assert_has(saved.weights, weights)
    np.testing.assert_array_equal(bench.subscriber.pull().weights, learner._flat.read())
    assert (saved.state["learner_steps"], learner._step.optimizer.state) == (0, {})
    assert read_initial(runtime) == {}


def test_learner_begins_the_rest_as_it_begins_without_weights(tmp_path, given):
    weights, runtime = given
    part = {name: array for name, array in weights.items() if name.startswith("representation.")}
    write_initial(runtime, Initial(part, ""))
    state = numpy_state(Bench(tmp_path).learner._model)
    (tmp_path / "other").mkdir()
    fresh = numpy_state(Bench(tmp_path / "other").learner._model)
    assert_has(state, part | {name: array for name, array in fresh.items() if name not in part})


def test_learner_that_is_started_again_leaves_them_alone(tmp_path, given):
    weights, runtime = given
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    bench.train(2)
    trained = bench.weights()
    write_initial(runtime, Initial(weights, ""))  # as if it had been killed before it discarded them
    bench.start()
    np.testing.assert_array_equal(bench.weights(), trained)
    assert bench.learner._step.learner_steps == 2


@pytest.mark.parametrize("is_first", [True, False])
def test_every_rank_begins_with_them_whichever_comes_first(tmp_path, given, request, is_first):
    weights, runtime = given
    if not is_first:  # rank 0 has saved them in its checkpoint, and discarded the file
        shutil.copytree(runtime, tmp_path / "first" / "runtime")
        Bench(tmp_path / "first")
        (tmp_path / "first" / "checkpoints").rename(tmp_path / "checkpoints")
        discard_initial(runtime)
    bench = request.getfixturevalue("second_rank").bench
    assert_has(numpy_state(bench.learner._model), weights)
    assert bool(read_initial(runtime)) == is_first  # only rank 0 discards it


def make_parts(seed):
    torch.manual_seed(seed)
    config = NetworkConfig(
        kind="residual", mean_image=True, num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3
    )
    model = Model(config, (1, 16, 16), 3)
    average = AverageWeights(model, 0.5)
    return model, average, TrainingStep(model, LearnerConfig(average_decay=0.5), average=average)


def image_batch():
    images = torch.rand((4, 1, 16, 16), generator=torch.Generator().manual_seed(3))
    return make_batch(batch_size=4)._replace(frame_BF=images[:, None])


@pytest.mark.parametrize("names_mean", [True, False])
def test_mean_image_that_came_with_the_weights_stays_also_after_a_resume(names_mean):
    model, average, step = make_parts(seed=1)
    weights = {**numpy_state(model), "mean_image": np.full((1, 16, 16), 0.25, np.float32)}
    if not names_mean:
        del weights["mean_image"]
    begin_with(weights, model, average, step)
    state = {"env_steps": 0, "weights_version": 1}
    saved = make_checkpoint(model, average, step, state)
    assert saved.state.get("keeps_mean", False) == names_mean
    resumed = make_parts(seed=2)
    restore_checkpoint(saved, *resumed)
    for each in (step, resumed[-1]):
        each(image_batch())
    for each in (model, average.model, resumed[0], resumed[1].model):
        assert bool((each.mean_image == 0.25).all()) == names_mean
