"""Saves the learner's state in a checkpoint and restores it.

weights     the published weights, and the parts of the model that only the learner has
optimizer   INDEX.FIELD of the optimiser; trained.NAME of the trained weights if an average is published
state       counters, and whether the mean image came with the weights of another run
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..nets import Model, numpy_state, restore_model
from ..runs.checkpoint import Checkpoint
from ..runs.initial import MEAN_IMAGE
from .average import AverageWeights
from .optimizer import optimizer_arrays, restore_optimizer
from .step import TrainingStep

_TRAINED = "trained."
_KEEPS_MEAN = "keeps_mean"


def make_checkpoint(
    model: Model, average: AverageWeights | None, step: TrainingStep, state: Mapping[str, Any]
) -> Checkpoint:
    """A checkpoint with everything that training needs to resume."""
    optimizer = optimizer_arrays(step.optimizer)
    if average is not None:
        optimizer |= {_TRAINED + name: array for name, array in numpy_state(model).items()}
    published = model if average is None else average.model
    state = {**state, "learner_steps": step.learner_steps, **({_KEEPS_MEAN: True} if step.keeps_mean else {})}
    return Checkpoint(numpy_state(published), optimizer, state)


def begin_with(
    weights: Mapping[str, np.ndarray], model: Model, average: AverageWeights | None, step: TrainingStep
) -> None:
    """Gives a new model, and its average, these tensors; their shapes are known to fit. The rest stays as it is.

    A mean image among them stays too: the tensors were trained on what it leaves of an image.
    """
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    for each in (model, *([average.model] if average else [])):
        each.load_state_dict(tensors, strict=False)
    step.keeps_mean = MEAN_IMAGE in weights


def restore_checkpoint(
    checkpoint: Checkpoint, model: Model, average: AverageWeights | None, step: TrainingStep
) -> None:
    """Restores a checkpoint; raises CheckpointError if it belongs to another model or optimiser.

    A run that starts or stops averaging resumes from the trained weights.
    """
    trained, fields = _split(checkpoint.optimizer)
    restore_model(model, checkpoint._replace(weights=trained or checkpoint.weights))
    if average is not None:
        restore_model(average.model, checkpoint)
    restore_optimizer(step.optimizer, fields)
    step.is_sound = True
    step.learner_steps = checkpoint.state["learner_steps"]
    step.keeps_mean = checkpoint.state.get(_KEEPS_MEAN) is True


def _split(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Splits the arrays into (trained weights, fields of the optimiser)."""
    trained = {name.removeprefix(_TRAINED): array for name, array in arrays.items() if name.startswith(_TRAINED)}
    return trained, {name: array for name, array in arrays.items() if not name.startswith(_TRAINED)}
