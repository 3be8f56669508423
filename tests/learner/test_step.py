"""One training step: schedule, clipping, and what a non-finite loss leaves behind."""

import copy

import pytest
import torch

from mzpipe.config import LearnerConfig, NetworkConfig
from mzpipe.errors import CheckpointError
from mzpipe.learner.optimizer_state import optimizer_arrays, restore_optimizer
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model
from tests.learner.batches import make_batch, make_model


def states_equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_step_lowers_the_loss_of_a_batch(optimizer):
    step, batch = TrainingStep(make_model(), LearnerConfig(optimizer=optimizer, learning_rate=0.02)), make_batch()
    first = step(batch).losses.total.item()
    for _ in range(100):
        last = step(batch).losses.total.item()
    assert last < 0.9 * first
    assert step.learner_steps == 101


def test_step_skips_and_leaves_everything_when_a_target_is_not_finite():
    step = TrainingStep(make_model(), LearnerConfig())
    step(make_batch())
    weights, optimizer = copy.deepcopy(step._model.state_dict()), optimizer_arrays(step.optimizer)
    bad = make_batch()
    bad.value_target_BK1[0, 0] = float("nan")
    result = step(bad._replace(observation=torch.full_like(bad.observation, float("nan"))))
    assert result.skipped
    assert step.learner_steps == 1
    assert states_equal(step._model.state_dict(), weights)
    assert all((after == optimizer[name]).all() for name, after in optimizer_arrays(step.optimizer).items())
    assert not step(make_batch()).skipped


def test_step_restores_batch_statistics_when_it_skips():
    model = Model(
        NetworkConfig(kind="residual", num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3),
        (1, 16, 16),
        3,
    )
    step, batch = TrainingStep(model, LearnerConfig()), make_batch(batch_size=2)
    before = copy.deepcopy(model.state_dict())
    bad = batch._replace(observation=torch.full((2, 1, 16, 16), float("nan")))
    assert step(bad).skipped
    assert states_equal(model.state_dict(), before)


def test_learning_rate_warms_up_then_decays():
    config = LearnerConfig(learning_rate=1.0, warmup_steps=10, lr_decay_rate=0.1, lr_decay_steps=100)
    step = TrainingStep(make_model(), config)
    rates = {}
    for steps in (0, 9, 100, 200):
        step.learner_steps = steps
        rates[steps] = step.learning_rate()
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.1**0.09)
    assert rates[100] == pytest.approx(0.1)
    assert rates[200] == pytest.approx(0.01)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_optimizer_state_goes_on_exactly_when_it_is_restored(optimizer):
    config = LearnerConfig(optimizer=optimizer)
    first, second = TrainingStep(make_model(), config), TrainingStep(make_model(), config)
    for seed in range(3):
        first(make_batch(seed=seed))
    second._model.load_state_dict(first._model.state_dict())
    restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))
    first(make_batch(seed=9))
    second(make_batch(seed=9))
    assert states_equal(first._model.state_dict(), second._model.state_dict())


def test_optimizer_state_is_refused_when_it_is_another_models():
    first, second = TrainingStep(make_model(), LearnerConfig()), TrainingStep(make_model(num_layers=2), LearnerConfig())
    first(make_batch())
    with pytest.raises(CheckpointError, match=r"optimiser state \d+\.exp_avg.* is another model's"):
        restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))
