"""The three functions as ONNX graphs, for programs without torch.

| graph | inputs | outputs |
|---|---|---|
| representation | observation [B, ...], stacked, in the game's dtype | hidden_state [B, ...] |
| dynamics | hidden_state [B, ...], action int64 [B] | reward float32 [B], next_hidden_state [B, ...] |
| prediction | hidden_state [B, ...] | policy_logits float32 [B, A], value float32 [B] |

Hidden states are float32 and have the model's hidden_shape: with value prefix that is one flat vector of the state and
the node's memory, passed unchanged from graph to graph. Rewards and values are plain numbers for either kind of heads;
with value prefix the reward is that of the step. With chance (see `chance`), actions beyond the game's are codes, for
which policies have places too, and the reward of a game's action means nothing.

Torch traces the graphs with its exporter without dynamo, which every torch from 2.4 on has and which needs only the
package onnx. No forward below may turn a tensor or its length into a Python number.

Shape legend    B samples   A actions   M outputs of a value or reward head
"""

import io
import warnings
from collections.abc import Callable
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn
from torch.onnx import TrainingMode

from .engines.own_networks import check_export
from .model import Model
from .own import asked_of_own
from .support import head_scalar

# The newest opset that every torch from 2.4 on writes; runtimes have supported it since 2022.
OPSET = 17
BATCH_AXIS = "batch"


class TensorSpec(NamedTuple):
    """The dtype of a tensor and its shape, whose first axis is the batch axis, by name."""

    dtype: str
    shape: tuple[int | str, ...]


class Graph(NamedTuple):
    """One function: the bytes of an ONNX file, and its inputs and outputs by name, in order."""

    data: bytes
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


def export_graphs(model: Model, observation: Tensor) -> dict[str, Graph]:
    """The graphs of a model by name, each checked against ONNX's rules; leaves the model in evaluation mode.

    `observation` gives the shape and dtype of stacked observations [B, ...]; its values do not matter.
    """
    batch = len(observation)
    hidden_state = torch.rand(batch, *model.hidden_shape)
    action = torch.zeros(batch, dtype=torch.int64)
    return {
        "representation": _trace(ModelFunction(model, _represented), {"observation": observation}, ("hidden_state",)),
        "dynamics": _trace(
            ModelFunction(model, packed_step),
            {"hidden_state": hidden_state, "action": action},
            ("reward", "next_hidden_state"),
        ),
        "prediction": _trace(
            ModelFunction(model, packed_prediction), {"hidden_state": hidden_state}, ("policy_logits", "value")
        ),
    }


def exported(model: Model, observation: Tensor, num_actions: int) -> dict[str, Graph]:
    """The graphs, for stacked observations like this one [1, ...].

    Those of a user's own model are compared with it: raises OwnCodeError if it cannot be traced, or answers otherwise.
    """
    observations = observation.expand(2, *observation.shape[1:])
    if not model.config.is_own:
        return export_graphs(model, observations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # the comparison finds out whether it matters
        graphs = asked_of_own(model.config.kind, "traced, it", export_graphs, model, observations)
    check_export(model, {name: graph.data for name, graph in graphs.items()}, observation, num_actions)
    return graphs


class ModelFunction(nn.Module):
    """Wraps a function of a model and tensors, which returns a tuple of tensors, as a module for tracing."""

    def __init__(self, model: Model, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model, self._function = model, function

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Calls the function with this model."""
        return self._function(self.model, *inputs)


def _represented(model: Model, observation: Tensor) -> tuple[Tensor]:
    return (packed_state(model, observation),)


def packed_state(model: Model, observation: Tensor) -> Tensor:
    """Returns the state that a root keeps: its hidden state, followed by the value prefix's memory if there is one."""
    if model.sampler is not None:
        return model.initial_inference(observation).hidden_state.view(-1, *model.hidden_shape)
    state, prefix = model.represent(observation), model.value_prefix
    if prefix is None:
        return state
    # The view states the size, which the graph cannot infer.
    return torch.cat([state.flatten(1), prefix.root_memory(state)], dim=1).view(-1, *model.hidden_shape)


def packed_step(model: Model, hidden_state: Tensor, action_B: Tensor) -> tuple[Tensor, Tensor]:
    """Scalar reward [B] of the action, and the packed state of the child."""

    def scalar(outputs_BM: Tensor) -> Tensor:
        return head_scalar(outputs_BM, model.reward_bins)

    if model.sampler is not None:
        output = model.recurrent_inference(hidden_state, action_B)
        return model.reward(output), output.hidden_state
    outputs, next_state = model.step(_state(model, hidden_state), action_B)
    if model.value_prefix is None:
        return scalar(outputs), next_state
    step = model.value_prefix.step(outputs, hidden_state[:, model.state_size :], scalar)
    return step.reward_B, torch.cat([next_state.flatten(1), step.memory_BV], dim=1)


def packed_prediction(model: Model, hidden_state: Tensor) -> tuple[Tensor, Tensor]:
    """Policy logits [B, A] and scalar value [B] of a packed state; candidates follow the logits, where it has some."""
    if model.sampler is not None:
        output = model.sampled_output(_state(model, hidden_state), None)
        return output.policy_logits_BA, model.value(output)
    policy_logits, value_outputs = model.prediction(_state(model, hidden_state))
    return policy_logits, head_scalar(value_outputs, model.value_bins)


def _state(model: Model, hidden_state: Tensor) -> Tensor:
    """The hidden state without the memory or the candidates that a packed state holds."""
    if model.value_prefix is None and model.sampler is None:
        return hidden_state
    return hidden_state[:, : model.state_size].unflatten(1, model.state_shape)


def _trace(function: nn.Module, inputs: dict[str, Tensor], output_names: tuple[str, ...]) -> Graph:
    """The function as a graph that has passed ONNX's checks."""
    graph = trace(function, inputs, output_names)
    onnx.checker.check_model(graph.data, full_check=True)
    return graph


@torch.no_grad()
def trace(
    function: nn.Module, inputs: dict[str, Tensor], output_names: tuple[str, ...], *, keep_weights: bool = False
) -> Graph:
    """The function as a graph whose tensors have any batch size.

    keep_weights: every weight stays in the graph unchanged, under its name in the module's state, and is not merged.
    """
    function.eval()
    outputs = dict(zip(output_names, function(*inputs.values()), strict=True))
    file = io.BytesIO()
    torch.onnx.export(
        function,
        tuple(inputs.values()),
        file,  # type: ignore[arg-type]
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={name: {0: BATCH_AXIS} for name in [*inputs, *outputs]},
        opset_version=OPSET,
        dynamo=False,
        # In evaluation mode the exporter folds batch normalisation into the weights before it.
        training=TrainingMode.PRESERVE if keep_weights else TrainingMode.EVAL,
        do_constant_folding=not keep_weights,
    )
    return Graph(file.getvalue(), _specs(inputs), _specs(outputs))


def _specs(tensors: dict[str, Tensor]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(str(tensor.dtype).removeprefix("torch."), (BATCH_AXIS, *tensor.shape[1:]))
        for name, tensor in tensors.items()
    }
