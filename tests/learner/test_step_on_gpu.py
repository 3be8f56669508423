"""The training step on a GPU: the steps that a CPU takes, skips without a word of the host, and no wait inside."""

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig
from mzpipe.learner.average import AverageWeights
from mzpipe.learner.optimizer import optimizer_arrays
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import FlatWeights, Model, numpy_state, place_model
from tests.learner.batches import make_batch, make_model, with_observations
from tests.learner.test_step import begun_at_once
from tests.stand_in_gpu import counted

pytestmark = pytest.mark.on_gpu


def on(device, batch):
    return batch._make(None if part is None else part.to(device) for part in batch)


def batches(device):
    """Six, of which the third and the fourth are bad."""
    found = [with_observations(make_batch(seed=seed)) for seed in range(6)]
    found[2].value_target_BK1[0, 0] = float("nan")
    found[3].observation[0] = float("inf")
    return [on(device, batch) for batch in found]


def make_step(device, **fields) -> tuple[TrainingStep, Model]:
    model = place_model(make_model(value_prefix=True, consistency=True), device)
    average = AverageWeights(model, 0.9)
    return TrainingStep(model, LearnerConfig(**fields), average=average), average.model


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])  # AdamW makes steps of gradients that are 0 but for rounding
def test_gpu_takes_and_skips_the_steps_of_a_cpu(optimizer):
    fields = {"optimizer": optimizer, "warmup_steps": 5, "precision": "float32"}
    (here, mean_here), (there, mean_there) = (make_step(device, **fields) for device in ("cpu", "cuda:0"))
    expected = [here(batch) for batch in batches("cpu")]
    found = begun_at_once(there, batches("cuda:0"))
    skipped = [False, False, True, True, False, False]
    assert [each.skipped for each in found] == [each.skipped for each in expected] == skipped
    assert there.learner_steps == here.learner_steps == 4
    for one, other in zip(found, expected, strict=True):
        assert one.losses.total.device.type == "cpu"
        torch.testing.assert_close(one.losses, other.losses, rtol=1e-3, atol=1e-5, equal_nan=True)
    for one, other in ((there._model, here._model), (mean_there, mean_here)):
        for name, value in other.state_dict().items():
            torch.testing.assert_close(one.state_dict()[name].cpu(), value, rtol=1e-3, atol=1e-4, msg=name)
    state = optimizer_arrays(there.optimizer)
    for name, value in optimizer_arrays(here.optimizer).items():
        np.testing.assert_allclose(state[name], value, rtol=1e-2, atol=1e-5, err_msg=name)


def test_step_that_the_gpu_skips_leaves_the_average_as_it_was():
    step, average = make_step("cuda:0")
    good, _, bad, *_ = batches("cuda:0")
    step(good)  # now the trained weights and their average differ
    before = FlatWeights(average).read()
    assert step(bad).skipped
    assert (FlatWeights(average).read() == before).all()


def test_gpu_steps_begin_without_a_wait():
    step, _ = make_step("cuda:0", warmup_steps=5)
    given = batches("cuda:0")
    step.begin(given[0])
    with counted() as seen:
        step.begin(given[2])
    assert (seen.syncs, seen.h2d_blocking, seen.h2d_pageable, seen.d2h_blocking, seen.d2h_async) == (0, 0, 0, 0, 1)
    with counted() as seen:
        step.finish()
    assert (seen.syncs, seen.launches) == (1, 0)


def test_checkpoint_leaves_the_gpu_in_one_copy_of_each_type():
    step, _ = make_step("cuda:0")
    step(batches("cuda:0")[0])
    with counted() as seen:
        arrays = numpy_state(step._model)
    types = {array.dtype for array in arrays.values()}
    assert seen.d2h_blocking == len(types) == 2
    with counted() as seen:
        optimizer_arrays(step.optimizer)
    assert seen.d2h_blocking == 1


def test_weights_arrive_on_the_gpu_in_one_copy():
    (_, model), (_, other) = make_step("cuda:0"), make_step("cpu")
    flat = FlatWeights(other).read() + 1.0
    with counted() as seen:
        FlatWeights(model).write(flat)
    assert seen.h2d_blocking + seen.h2d_pageable == 1
    assert (FlatWeights(model).read() == flat).all()
