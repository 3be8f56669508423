"""Loading a model from a checkpoint, name by name."""

import torch

from ..errors import CheckpointError
from ..runs.checkpoint import Checkpoint
from .model import Model, training_only_names


def restore_model(model: Model, checkpoint: Checkpoint) -> None:
    """Copies the checkpoint's weights into the model; those of training heads are left where the model has none.

    Raises CheckpointError naming the first tensor that is missing, unknown, or of
    another shape or dtype than the model's.
    """
    state = model.state_dict()
    left_out = training_only_names(model) - state.keys()
    if strangers := sorted((checkpoint.weights.keys() - left_out) ^ state.keys()):
        raise CheckpointError(f"checkpoint of another model: {strangers[0]} is only in one of the two")
    for name, tensor in state.items():
        found = torch.from_numpy(checkpoint.weights[name])
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise CheckpointError(
                f"checkpoint of another model: {name} is {found.dtype} {tuple(found.shape)}, "
                f"the model has {tensor.dtype} {tuple(tensor.shape)}"
            )
        tensor.copy_(found)
