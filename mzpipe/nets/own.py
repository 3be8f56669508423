"""A network of your own, `module:Class`: three modules that mzpipe calls as it calls its own; docs/networks.md.

Each process makes the class anew and fills it with published weights. What the class raises, and outputs of another
shape than the rest of the program takes, become an OwnCodeError that names the place.
"""

import inspect
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..config import NetworkConfig
from ..errors import ConfigError, OwnCodeError
from ..own_code import asked, find_own_class
from ..runtime.devices import device_error

_T = TypeVar("_T")
FUNCTIONS = ("representation", "dynamics", "prediction")
_SETTING = "network.kind"
# Rows of the batch that shows the shapes: more than one, or a batch norm that is left in training mode would refuse it.
_ROWS = 2
_WIDE = torch.float64


class OwnFunction(nn.Module):
    """One function of the user's, with the shapes of its outputs without their batch axis."""

    def __init__(self, network: str, name: str, own: nn.Module, outputs: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self._network, self._name, self._outputs = network, name, outputs
        self.own = own

    def forward(self, *inputs: Tensor) -> Any:
        """Its outputs: a tensor, or for two outputs a tuple."""
        inputs = (inputs[0], *(action_B.long() for action_B in inputs[1:]))  # as one_hot needs them
        if _is_recorded(inputs[0]):
            return self.own(*inputs)  # who records it turns every error into words, or works without the record
        outputs = asked_of_own(self._network, f"its {self._name}", self.own, *inputs)
        found = outputs if isinstance(outputs, tuple | list) else (outputs,)
        if len(found) != len(self._outputs):
            raise self._broken(f"returned {len(found)} values, not {' and '.join(self._outputs)}")
        for (what, shape), tensor in zip(self._outputs.items(), found, strict=True):
            self._check(what, tensor, (len(inputs[0]), *shape), inputs[0])
        return outputs

    def _check(self, what: str, tensor: Any, shape: tuple[int, ...], given: Tensor) -> None:
        if not isinstance(tensor, Tensor):
            raise self._broken(f"returned {what} as {type(tensor).__name__}, not as a tensor")
        if tensor.shape != shape:
            raise self._broken(f"returned {what} of shape {tuple(tensor.shape)}, not {shape}")
        if not tensor.is_floating_point() or (tensor.dtype == _WIDE and given.dtype != _WIDE):
            raise self._broken(f"returned {what} in {tensor.dtype}, not in {given.dtype}")

    def _broken(self, what: str) -> OwnCodeError:
        return OwnCodeError(f"{self._network}: its {self._name} {what} (see docs/networks.md)")


def asked_of_own(network: str, place: str, function: Callable[..., _T], /, *arguments: Any, **options: Any) -> _T:
    """What a call into the user's code returns; its errors become OwnCodeErrors, but for those of a device."""
    try:
        return asked(OwnCodeError, network, place, function, *arguments, **options)
    except OwnCodeError as error:
        cause = error.__cause__
        if cause is not None and device_error(cause) is not None:
            raise cause from None  # a device that is full or lost is not the network's fault
        raise


def make_own(
    config: NetworkConfig, observation_shape: tuple[int, ...], num_actions: int, heads: tuple[int, int]
) -> tuple[list[OwnFunction], tuple[int, ...]]:
    """The three functions of the class that `network.kind` names, and the shape of its hidden state.

    `heads` are the outputs of the reward head and of the value head. Raises ConfigError: no permission, no such module
    or class, or arguments that it does not take; OwnCodeError: it raises, or breaks its contract.
    """
    make = find_own_class(_SETTING, config.kind)
    reward, value = heads
    sizes = {"observation_shape": observation_shape, "num_actions": num_actions}
    own = _made(make, config, {**sizes, "reward_outputs": reward, "value_outputs": value})
    parts = {name: _part(config.kind, own, name) for name in FUNCTIONS}
    nn.ModuleDict(parts).eval()  # before statistics are known, only evaluation mode takes every batch
    state_shape = _state_shape(config.kind, parts["representation"], observation_shape)
    outputs: dict[str, dict[str, tuple[int, ...]]] = {
        "representation": {"the hidden state": state_shape},
        "dynamics": {"reward outputs": (reward,), "the next hidden state": state_shape},
        "prediction": {"policy logits": (num_actions,), "value outputs": (value,)},
    }
    functions = [OwnFunction(config.kind, name, part, outputs[name]) for name, part in parts.items()]
    _try(functions, observation_shape)
    _check_tensors(config.kind, own, nn.ModuleDict(parts).train())
    return functions, state_shape


def _made(make: Any, config: NetworkConfig, sizes: dict[str, object]) -> object:
    try:
        inspect.signature(make).bind(**sizes, **config.arguments)
    except TypeError as error:
        raise ConfigError(
            f"{_SETTING}={config.kind!r} with network.arguments={config.arguments}: {error} "
            f"(it is called with {', '.join(sizes)} and its arguments, by name)"
        ) from None
    return asked_of_own(config.kind, "its constructor", make, **sizes, **config.arguments)


def _part(network: str, own: object, name: str) -> nn.Module:
    part = getattr(own, name, None)
    if not isinstance(part, nn.Module):
        found = f"{name} is a {type(part).__name__}" if hasattr(own, name) else f"it has no {name}"
        raise OwnCodeError(
            f"{network}: {found}: {', '.join(FUNCTIONS)} must be torch modules (nn.Module; see docs/networks.md)"
        )
    return part


@torch.no_grad()
def _state_shape(network: str, representation: nn.Module, observation_shape: tuple[int, ...]) -> tuple[int, ...]:
    observation = torch.zeros(_ROWS, *observation_shape)
    state = asked_of_own(network, "its representation", representation, observation)
    if not isinstance(state, Tensor) or state.ndim < 2 or len(state) != _ROWS or not prod(state.shape):
        shape = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
        raise OwnCodeError(
            f"{network}: its representation returned {shape} for observations of shape {(_ROWS, *observation_shape)}, "
            f"not a hidden state of shape ({_ROWS}, ...) (see docs/networks.md)"
        )
    return tuple(state.shape[1:])


@torch.no_grad()
def _try(functions: list[OwnFunction], observation_shape: tuple[int, ...]) -> None:
    """Calls every function once, which also makes the parameters of lazy modules."""
    representation, dynamics, prediction = functions
    state = representation(torch.zeros(_ROWS, *observation_shape))
    prediction(dynamics(state, torch.zeros(_ROWS, dtype=torch.int64, device=state.device))[1])


def _check_tensors(network: str, own: object, parts: nn.Module) -> None:
    """Refuses what would be lost, or stand twice, in weights that are published by name."""
    names: dict[int, str] = {}
    for name, tensor in _tensors(parts):
        if (other := names.setdefault(id(tensor), name)) != name:
            raise OwnCodeError(f"{network}: {other} and {name} are one tensor: make a module for each of them")
        if (tensor.is_floating_point() and tensor.dtype != torch.float32) or tensor.is_complex():
            raise OwnCodeError(f"{network}: {name} is {tensor.dtype}: weights are float32")
        if isinstance(tensor, nn.Parameter) and not tensor.requires_grad:
            raise OwnCodeError(f"{network}: {name} is not trained (requires_grad=False): register it as a buffer")
    if isinstance(own, nn.Module):
        for name, parameter in own.named_parameters():
            if id(parameter) not in names:
                raise OwnCodeError(f"{network}: {name} belongs to none of {', '.join(FUNCTIONS)}: put it into one")
    if next(parts.parameters(), None) is None:
        raise OwnCodeError(f"{network}: it has no parameters: there is nothing to train")


def _tensors(parts: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers under every name that they have."""
    listed: tuple[Callable[..., Iterator[tuple[str, Tensor]]], ...] = (parts.named_parameters, parts.named_buffers)
    for named in listed:
        yield from named(remove_duplicate=False)


def _is_recorded(tensor: Tensor) -> bool:
    """Whether torch traces, compiles or captures the call, so that no Python around it counts."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return True
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()
