"""The model as one flat float32 array, the form in which weights travel through shared memory."""

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..config import NetworkConfig
from ..errors import CheckpointError
from ..ipc.layout import Field
from ..runs.checkpoint import Checkpoint
from .model import Model, sizing_device, training_only_names


def restore_model(model: Model, checkpoint: Checkpoint) -> None:
    """Copies the checkpoint's weights into the model; ignores those of training heads if the model has none.

    Raises CheckpointError naming the first tensor that is missing, unknown, or of
    another shape or dtype than the model's.
    """
    _check_fits(model, checkpoint)
    for name, tensor in model.state_dict().items():
        tensor.copy_(torch.from_numpy(checkpoint.weights[name]))


def model_of(
    checkpoint: Checkpoint,
    config: NetworkConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    action_size: int = 0,
) -> Model:
    """A model with the checkpoint's weights.

    Raises the same errors as restore_model, before it takes the memory of a model that may be of any size.
    """
    with sizing_device(config):
        _check_fits(Model(config, observation_shape, num_actions, action_size=action_size), checkpoint)
    model = Model(config, observation_shape, num_actions, action_size=action_size)
    restore_model(model, checkpoint)
    return model


def _check_fits(model: Model, checkpoint: Checkpoint) -> None:
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


def state_fields(state: Mapping[str, Tensor]) -> tuple[Field, ...]:
    """Name, dtype and shape of every tensor."""
    return tuple(
        Field(name, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)) for name, tensor in state.items()
    )


class FlatWeights:
    """Copies a model's floating-point parameters and buffers to and from a flat array, in state-dict order.

    Training heads are left out: the array is the same as for the model without them.
    """

    def __init__(self, model: Model) -> None:
        left_out = training_only_names(model)
        state = {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}
        # The whole state, as in a checkpoint, including integers, which are not in the array.
        self.fields = state_fields(state)
        state = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
        self._tensors = list(state.values())
        ends = list(itertools.accumulate(tensor.numel() for tensor in self._tensors))
        self.size = ends[-1]
        # Where each tensor lies, by its name in the model's state.
        self.places = dict(zip(state, map(slice, [0, *ends], ends), strict=False))

    def read(self) -> np.ndarray:
        """A new flat float32 array of the model's current weights."""
        return torch.cat([tensor.detach().reshape(-1).float() for tensor in self._tensors]).cpu().numpy()

    @torch.no_grad()
    def write(self, flat: np.ndarray) -> None:
        """Loads the model from a flat array of `size` values."""
        source = torch.from_numpy(flat).to(self._tensors[0].device)
        places = zip(self._tensors, self.places.values(), strict=True)
        torch._foreach_copy_(self._tensors, [source[place].view_as(tensor) for tensor, place in places])


def numpy_state(model: Model) -> dict[str, np.ndarray]:
    """The model's state by name, for a checkpoint."""
    return numpy_copies(model.state_dict())


def numpy_copies(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Copies on the host, by the same names; all tensors of one type leave their device in one copy."""
    by_type: dict[torch.dtype, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        by_type.setdefault(tensor.dtype, {})[name] = tensor.detach()
    copies: dict[str, np.ndarray] = {}
    for group in by_type.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in group.values()]).cpu()
        parts = flat.split([tensor.numel() for tensor in group.values()])
        copies |= {name: part.view(group[name].shape).numpy() for name, part in zip(group, parts, strict=True)}
    return {name: copies[name] for name in tensors}
