"""The network that plays is the one that is trained: its batch statistics are measured with the weights of now."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mzpipe.config import LearnerConfig
from mzpipe.learner.average import AverageWeights
from mzpipe.learner.chance import Codes
from mzpipe.learner.diagnostics import played_gap
from mzpipe.learner.loss import unroll
from mzpipe.learner.statistics import PlayedStatistics
from mzpipe.learner.step import TrainingStep
from tests.learner.batches import make_batch, make_model
from tests.learner.still_frames import BATCH, STEPS, still_frames, still_frames_model

TRAINING_STEPS, LOOKS_FROM, LOOK_INTERVAL = 300, 200, 10


def look(model, statistics, batch):
    """(gap with the running averages of training, gap with the statistics measured anew); changes nothing."""
    played, lagging = copy.deepcopy(model), played_gap(model, batch, None)
    statistics.measure()
    measured = played_gap(model, batch, None)
    model.load_state_dict(played.state_dict())
    return lagging, measured


@pytest.mark.parametrize("changes", [{}, {"mean_image": True, "action_encoding": "planes", "state_scaling": "none"}])
def test_played_network_is_the_trained_one_on_frames_that_hardly_change(changes):
    model, rng = still_frames_model(**changes), np.random.default_rng(0)
    step, statistics, gaps = TrainingStep(model, LearnerConfig(learning_rate=5e-3)), PlayedStatistics(model), []
    for number in range(1, TRAINING_STEPS + 1):
        batch = still_frames(rng)
        step(batch)
        statistics.keep(batch)
        if number >= LOOKS_FROM and number % LOOK_INTERVAL == 0:
            gaps.append(look(model, statistics, still_frames(rng)))
    lagging, measured = np.transpose(gaps)
    assert np.median(measured) < 0.15
    assert np.max(measured) < 0.4
    if not changes:  # without the measurement the two are far apart
        assert np.max(lagging) > 0.7
        assert np.median(lagging) > 2 * np.median(measured)


def naive_statistics(model, batches):
    """Means over all passes of each normalisation's batch mean and batch variance, by its name."""
    seen, model = {}, copy.deepcopy(model).train()
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: seen.setdefault(name, []).append(inputs[0]))
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        for batch in batches:
            unroll(model, batch.observation, batch.action_BK)
    for hook in hooks:
        hook.remove()

    def mean(function, inputs):
        return torch.stack([function(each.transpose(0, 1).flatten(1)) for each in inputs]).mean(0)

    return {
        name: (mean(lambda rows: rows.mean(1), inputs), mean(lambda rows: rows.var(1), inputs))
        for name, inputs in seen.items()
    }


def assert_statistics(model, expected):
    norms = {name: each for name, each in model.named_modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)}
    assert expected
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(norms[name].running_mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(norms[name].running_var, variance, rtol=1e-4, atol=1e-5)


def test_statistics_are_means_over_the_last_four_batches():
    model, rng = still_frames_model(), np.random.default_rng(1)
    statistics, batches = PlayedStatistics(model), [still_frames(rng) for _ in range(6)]
    momenta = [each.momentum for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for batch in batches:
        statistics.keep(batch)
        batch.observation.add_(0)
    expected = naive_statistics(model, batches[-4:])
    statistics.measure()
    assert_statistics(model, expected)
    assert momenta == [each.momentum for each in model.modules() if isinstance(each, nn.BatchNorm2d)]


def test_kept_batches_are_copies():
    model, rng = still_frames_model(), np.random.default_rng(2)
    statistics, batch = PlayedStatistics(model), still_frames(rng)
    expected = naive_statistics(model, [batch])
    statistics.keep(batch)
    batch.observation.zero_()
    batch.action_BK.fill_(2)
    statistics.measure()
    assert_statistics(model, expected)


def test_average_has_statistics_of_its_own():
    model, rng = still_frames_model(), np.random.default_rng(3)
    step, average = TrainingStep(model, LearnerConfig(learning_rate=5e-3)), AverageWeights(model, 0.9)
    statistics, batches = PlayedStatistics(average.model), [still_frames(rng) for _ in range(8)]
    for batch in batches:
        step(batch)
        average.update()
        statistics.keep(batch)
    statistics.measure()
    assert_statistics(average.model, naive_statistics(average.model, batches[-4:]))


def test_average_follows_the_mean_image_and_leaves_batch_statistics_behind():
    model = still_frames_model()
    model.register_buffer("mean_image", torch.zeros(3))
    average = AverageWeights(model, 0.9)
    model.mean_image.fill_(1.0)
    model.representation.layers[0][1].running_mean.fill_(7.0)
    average.update()
    assert (average.model.mean_image == 1.0).all()
    assert (average.model.representation.layers[0][1].running_mean != 7.0).all()


def test_nothing_is_measured_before_the_first_batch_or_twice():
    model, rng = still_frames_model(), np.random.default_rng(4)
    before = copy.deepcopy(model.state_dict())
    statistics = PlayedStatistics(model)
    statistics.measure()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    statistics.keep(still_frames(rng))
    statistics.measure()
    model.representation.layers[0][1].running_mean.fill_(7.0)
    statistics.measure()
    assert (model.representation.layers[0][1].running_mean == 7.0).all()


def test_heads_of_training_alone_keep_their_statistics():
    model = make_model(consistency=True, value_prefix=True)
    statistics, before = PlayedStatistics(model), copy.deepcopy(model.consistency.state_dict())
    played, at_first = model.value_prefix.layers[0].running_mean, model.value_prefix.layers[0].running_mean.clone()
    statistics.keep(make_batch())
    statistics.measure()
    assert all(torch.equal(value, before[name]) for name, value in model.consistency.state_dict().items())
    assert not torch.equal(played, at_first)


@pytest.mark.parametrize(
    "changes", [{"chance_codes": 4}, {"dynamics_norm": "layer", "value_prefix": True, "head_norm": True}]
)
def test_no_batch_normalisation_sees_the_steps_of_an_unroll_one_by_one(changes):
    """Each would train with the statistics of its step, and play with those of all steps."""
    model, batch, calls = still_frames_model(**changes), still_frames(np.random.default_rng(6)), Counter()
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    row_BKC = torch.eye(4).expand(*batch.action_BK.shape, 4, 4)[..., 0, :]
    codes = Codes(row_BKC, row_BKC, batch.reward_mask_BK) if model.config.chance_codes else None
    unroll(model, batch.observation, batch.action_BK, codes=codes)
    assert calls and set(calls.values()) == {1}


def test_gap_sees_the_steps_after_the_root():
    model, batch = still_frames_model(), still_frames(np.random.default_rng(7))
    nn.init.normal_(model.prediction.value.out.weight)
    statistics = PlayedStatistics(model)
    statistics.keep(batch)
    statistics.measure()
    only_root = batch._replace(value_mask_BK1=torch.cat([torch.ones(BATCH, 1), torch.zeros(BATCH, STEPS)], dim=1))
    before, at_root = played_gap(model, batch, None), played_gap(model, only_root, None)
    model.dynamics.mix[1].running_mean.add_(5.0)
    assert played_gap(model, only_root, None) == pytest.approx(at_root)
    assert played_gap(model, batch, None) > 1.05 * before


def test_gap_is_zero_without_batch_normalisation():
    assert played_gap(make_model(), make_batch(), None) == 0.0


def test_gap_counts_in_spreads_of_the_targets_and_leaves_the_model():
    model, rng = still_frames_model(), np.random.default_rng(5)
    nn.init.normal_(model.prediction.value.out.weight)
    batch, before = still_frames(rng), copy.deepcopy(model.state_dict())
    model.eval()
    gap = played_gap(model, batch, None)
    assert gap > 0.0
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    wider = batch._replace(value_target_BK1=3.0 * batch.value_target_BK1)
    assert played_gap(model, wider, None) == pytest.approx(gap / 3.0, rel=1e-4)
