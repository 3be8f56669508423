"""The optimiser, its learning rate, and its state as named arrays for a checkpoint."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from ..config import LearnerConfig
from ..errors import CheckpointError
from ..nets import numpy_copies

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_STEP = "step"


class Optimizer:
    """The fused optimiser that the profile names, over all parameters of a model.

    It calls the functions that torch's own classes call, and takes the same steps. The classes load torch's compiler,
    which takes almost a second of a core at every start, and 70 MB.
    """

    def __init__(self, model: nn.Module, config: LearnerConfig) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self._config, self.fields = config, _fields(config)
        # The parameters' indices as they stand in the names of `optimizer_arrays`.
        self.numbers = frozenset(map(str, range(len(self.parameters))))
        # Each parameter's state by its index, from its first gradient on.
        self.state: dict[int, dict[str, Tensor]] = {}

    def clear_gradients(self) -> None:
        """Frees all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def forget(self) -> None:
        """Makes the state zeros again."""
        for fields in self.state.values():
            for tensor in fields.values():
                tensor.zero_()

    @torch.no_grad()
    def step(self, rate: float | Tensor, skipped: Tensor | None = None) -> None:
        """Moves every parameter that has a gradient; none, and changes no state, where `skipped` is 1.0."""
        trained = {index: each for index, each in enumerate(self.parameters) if each.grad is not None}
        state = [self.state_of(index) for index in trained]
        parameters, gradients = list(trained.values()), [cast(Tensor, each.grad) for each in trained.values()]
        columns = [[fields[name] for fields in state] for name in self.fields]
        config = self._config
        common: dict[str, Any] = {"fused": True, "lr": rate, "weight_decay": config.weight_decay, "maximize": False}
        common["found_inf"] = skipped  # by torch's name: its gradient scaler skips steps for infinite gradients
        if config.optimizer == "sgd":
            momenta: list[Tensor | None] = [*columns[0]] if columns else [None] * len(parameters)
            sgd(parameters, gradients, momenta, momentum=config.momentum, dampening=0.0, nesterov=False, **common)
        else:
            update = adamw if config.optimizer == "adamw" else adam
            steps, means, squares = columns
            common |= {"amsgrad": False, "beta1": _BETA1, "beta2": _BETA2, "eps": _EPSILON}
            update(parameters, gradients, means, squares, [], steps, **common)

    def state_of(self, index: int) -> dict[str, Tensor]:
        """The state of a parameter by field, always in the same memory; zeros at first."""
        fields, parameter = self.state.setdefault(index, {}), self.parameters[index]
        for name in self.fields:
            if name not in fields:
                is_step = name == _STEP
                fields[name] = torch.zeros((), device=parameter.device) if is_step else torch.zeros_like(parameter)
        return fields


def _fields(config: LearnerConfig) -> tuple[str, ...]:
    """The state of a parameter, by torch's own names."""
    if config.optimizer == "sgd":
        return ("momentum_buffer",) if config.momentum else ()
    return (_STEP, "exp_avg", "exp_avg_sq")


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
    return numpy_copies(
        {
            f"{index}.{field}": value
            for index, fields in sorted(optimizer.state.items())
            for field, value in fields.items()
        }
    )


def restore_optimizer(optimizer: Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Restores the state from the arrays; raises CheckpointError if they belong to another model.

    Fields of another optimiser are left out: a run that changes `learner.optimizer` begins with a state of zeros, and
    a later change back does not find an old one. The state stays where it is in memory, for graphs have its addresses.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        number, _, field = name.partition(".")
        index, tensor = int(number) if number in optimizer.numbers else -1, torch.from_numpy(array)
        if index < 0 or not _fits(optimizer.parameters[index], field, tensor):
            raise CheckpointError(
                f"optimiser state {name[:40]} {tensor.dtype} {tuple(tensor.shape)} is another model's"
            )
        if field in optimizer.fields:
            found.setdefault(index, {})[field] = tensor
    for index, fields in found.items():
        if missing := sorted(set(optimizer.fields) - fields.keys()):
            raise CheckpointError(
                f"optimiser state {index}.{missing[0]} is missing, though it has {index}.{min(fields)}"
            )
    optimizer.forget()
    for index, fields in found.items():
        for field, tensor in fields.items():
            optimizer.state_of(index)[field].copy_(tensor)


def _fits(parameter: Tensor, field: str, tensor: Tensor) -> bool:
    """Whether the tensor can be this field of the parameter's state."""
    return tensor.dtype == torch.float32 and tensor.shape == (() if field == _STEP else parameter.shape)
