"""The optimiser's state as named arrays, for a checkpoint."""

from collections.abc import Mapping

import numpy as np
import torch
from torch.optim import Optimizer

from ..errors import CheckpointError


def optimizer_arrays(optimizer: Optimizer) -> dict[str, np.ndarray]:
    """Arrays named `index.field`, index counting the model's parameters."""
    return {
        f"{index}.{field}": value.detach().cpu().numpy().copy()
        for index, fields in optimizer.state_dict()["state"].items()
        for field, value in fields.items()
        if value is not None
    }


def restore_optimizer(optimizer: Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Puts the arrays back; raises CheckpointError when they are another optimiser's."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        number, _, field = name.partition(".")
        state.setdefault(int(number), {})[field] = torch.from_numpy(array)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, fields in state.items():
        for field, tensor in fields.items():
            if index >= len(parameters) or (tensor.ndim and tensor.shape != parameters[index].shape):
                raise CheckpointError(f"optimiser state {index}.{field} {tuple(tensor.shape)} is another model's")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
