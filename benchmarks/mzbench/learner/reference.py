"""The reference of the case `learner`: the same training step of the same model, on a prepared batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mzpipe.errors import MzpipeError
from mzpipe.learner.batches import load_batch
from mzpipe.learner.step import TrainingStep
from mzpipe.measure.ceilings.noise import fill_batch
from mzpipe.nets import Model, place_model, use_device
from mzpipe.planning import derive_seed

from .work import Work, make_profile, make_shape, private_slot


def resident_step(
    work: Work, batch_size: int, device: str, *, note: Callable[[str], None] = lambda line: None, **learner: Any
) -> Callable[[], None]:
    """Trains on the same batch of noise every time, which is on the device; raises MzpipeError for a skipped step.

    On a GPU it reads the result of a step when the next one has begun, as the learner does. `learner` holds fields of
    [learner]; `note` gets what the step has to say.
    """
    profile = make_profile(work, batch_size, num_ranks=1, **learner)
    use_device(device, profile.learner.precision)
    shape = make_shape(work, profile)
    torch.manual_seed(derive_seed(profile.seed, "model"))
    model = place_model(Model(work.network, shape.observation_shape, shape.num_actions, training_heads=True), device)
    step, slot = TrainingStep(model, profile.learner, note=note), private_slot(shape)
    fill_batch(slot, np.random.default_rng(0))
    batch = load_batch(slot.unrolls, torch.device(device))
    if device != "cpu":
        step.begin(batch)

    def call() -> None:
        step.begin(batch)
        if step.finish().skipped:
            raise MzpipeError("a training step on the resident batch was not finite: nothing was measured")

    return call
