"""The two inferences as ONNX graphs whose weights can be exchanged.

| graph | inputs | outputs |
|---|---|---|
| root | observation [B, ...], stacked, in the game's dtype | hidden_state [B, ...], answer float32 [B, 1 + A] |
| child | hidden_state [B, ...], action int32 [B] | next_hidden_state [B, ...], answer float32 [B, 2 + A] |

An answer is reward, value and policy logits side by side; a root's answer has no reward.

Shape legend    B samples   A actions
"""

import copy
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor

from ...errors import MzpipeError
from ..flat import FlatWeights
from ..model import Model
from ..onnx_export import ModelFunction, packed_prediction, packed_state, packed_step, trace

# The range of weights while a graph is traced: all must differ, because the exporter merges equal ones, and a variance
# must be positive.
_LOW, _HIGH = 0.5, 1.5
_PREFIX = "model."


class ExchangeableGraph:
    """One traced inference, to be filled with any weights of its model.

    It keeps the graph as the bytes between its weights. Setting the weights of one message again and again would keep
    them all, because a message frees its allocations only at its own end.
    """

    def __init__(self, data: bytes, places: dict[str, slice]) -> None:
        graph: Any = onnx.load_model_from_string(data)
        written: bytes = graph.SerializeToString()
        self._places, self._between, rest = {}, [], 0
        for weights in graph.graph.initializer:
            name = weights.name.removeprefix(_PREFIX)
            if name not in places:
                raise MzpipeError(f"the traced graph has weights that the model does not have: {weights.name}")
            self._places[weights.name] = places[name]
            begin, end = _values(weights, written)
            self._between.append(written[rest:begin])
            rest = end
        self._end = written[rest:]

    def filled(self, flat: np.ndarray) -> bytes:
        """The graph with the weights of a flat float32 array, as FlatWeights makes it."""
        parts: list[bytes | memoryview] = []
        for before, place in zip(self._between, self._places.values(), strict=True):
            parts += (before, flat[place].data)
        return b"".join([*parts, self._end])


def _values(weights: Any, written: bytes) -> tuple[int, int]:
    """Where the values of these weights begin and end in their graph's bytes: they are the last bytes of the weights.

    No two weights have the same bytes, because their names differ.
    """
    tensor: bytes = weights.SerializeToString()
    assert tensor.endswith(weights.raw_data)
    end = written.index(tensor) + len(tensor)
    return end - len(weights.raw_data), end


class InferenceGraphs(NamedTuple):
    """Both graphs of a model."""

    root: ExchangeableGraph
    child: ExchangeableGraph


def inference_graphs(model: Model, observation: Tensor) -> InferenceGraphs:
    """Traces a model on a CPU; its weights do not matter and do not change.

    `observation` gives the shape and dtype of stacked observations [B, ...]; its values do not matter.
    """
    model = copy.deepcopy(model).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(_LOW, _HIGH)
    batch, places = len(observation), FlatWeights(model).places
    hidden_state, action = torch.rand(batch, *model.hidden_shape), torch.zeros(batch, dtype=torch.int32)
    root = trace(
        ModelFunction(model, _root), {"observation": observation}, ("hidden_state", "answer"), keep_weights=True
    )
    child = trace(
        ModelFunction(model, _child),
        {"hidden_state": hidden_state, "action": action},
        ("next_hidden_state", "answer"),
        keep_weights=True,
    )
    return InferenceGraphs(ExchangeableGraph(root.data, places), ExchangeableGraph(child.data, places))


def _root(model: Model, observation: Tensor) -> tuple[Tensor, Tensor]:
    hidden_state = packed_state(model, observation)
    policy_logits, value_B = packed_prediction(model, hidden_state)
    return hidden_state, torch.cat([value_B.unsqueeze(1), policy_logits], dim=1)


def _child(model: Model, hidden_state: Tensor, action_B: Tensor) -> tuple[Tensor, Tensor]:
    reward_B, next_hidden_state = packed_step(model, hidden_state, action_B)
    policy_logits, value_B = packed_prediction(model, next_hidden_state)
    return next_hidden_state, torch.cat([reward_B.unsqueeze(1), value_B.unsqueeze(1), policy_logits], dim=1)
