"""The optimiser, its learning rate, and its state as named arrays for a checkpoint."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ..config import LearnerConfig
from ..errors import CheckpointError


def make_optimizer(model: nn.Module, config: LearnerConfig) -> Optimizer:
    """The fused optimiser that the profile names, over all parameters of `model`."""
    parameters, rate, decay = model.parameters(), config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        return Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    if config.optimizer == "adamw":
        return AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    return SGD(parameters, lr=rate, weight_decay=decay, momentum=config.momentum, fused=True)


def learning_rate(config: LearnerConfig, learner_steps: int) -> float:
    """The learning rate of the step after `learner_steps`: a linear warm-up, times the decay of the schedule.

    "exponential" decays a little at every step (MuZero: 0.1 over 350,000), "step" all at once every lr_decay_steps
    (EfficientZero: 0.1 at 100,000).
    """
    warmup = min(1.0, (learner_steps + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    periods = learner_steps / config.lr_decay_steps
    exponent = float(int(periods)) if config.lr_schedule == "step" else periods
    return config.learning_rate * warmup * config.lr_decay_rate**exponent


def optimizer_arrays(optimizer: Optimizer) -> dict[str, np.ndarray]:
    """The state as arrays named `index.field`; index counts the model's parameters."""
    return {
        f"{index}.{field}": value.detach().cpu().numpy().copy()
        for index, fields in optimizer.state_dict()["state"].items()
        for field, value in fields.items()
        if value is not None
    }


def restore_optimizer(optimizer: Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Restores the state from the arrays; raises CheckpointError if they belong to another optimiser."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, array in arrays.items():
        number, _, field = name.partition(".")
        index, tensor = int(number), torch.from_numpy(array)
        if index >= len(parameters) or (tensor.ndim and tensor.shape != parameters[index].shape):
            raise CheckpointError(f"optimiser state {index}.{field} {tuple(tensor.shape)} is another model's")
        state.setdefault(index, {})[field] = _laid_out_as(parameters[index], tensor) if tensor.ndim else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the parameter's strides: fused optimisers step through the memory of both together."""
    return torch.empty_like(parameter, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
