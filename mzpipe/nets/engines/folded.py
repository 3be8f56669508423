"""A model for inference alone: batch normalisation folded into the layer before it, weights in the network's type.

In evaluation mode a normalisation is y = x * scale + shift, with scale = weight / sqrt(variance + eps) and
shift = bias - mean * scale, so the layer before it can do it: W' = scale * W, b' = scale * b + shift. Weights are
copied into the model in place, so whatever keeps their addresses, like a CUDA graph, goes on with the new ones.
"""

import copy
import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .. import FlatWeights, Model


class _Norm(NamedTuple):
    """A normalisation that is folded into the layer before it: its name in the model."""

    name: str
    eps: float


class FoldedModel:
    """A copy of a model on its device; `load` gives it weights."""

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype) -> None:
        flat = FlatWeights(model)
        shapes = {field.name: field.shape for field in flat.fields}
        self._places = {name: (place, shapes[name]) for name, place in flat.places.items()}
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._norms = _fold(self.model)
        _in_type(self.model, dtype)
        self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._tensors = {name: tensor for name, tensor in self.model.state_dict().items() if name in self._places}
        for layer in self._norms:
            self._tensors[f"{layer}.bias"] = self.model.get_parameter(f"{layer}.bias")

    @torch.no_grad()
    def load(self, flat: Tensor) -> None:
        """Takes the weights of a flat float32 tensor on the model's device, as FlatWeights makes it."""
        source = {name: flat[place].view(shape) for name, (place, shape) in self._places.items()}
        for layer, norm in self._norms.items():
            _fold_into(source, layer, norm)
        for name, tensor in self._tensors.items():
            tensor.copy_(source[name])


def _fold_into(source: dict[str, Tensor], layer: str, norm: _Norm) -> None:
    """Replaces the layer's weights by those that normalise as well."""
    scale = source[f"{norm.name}.weight"] * (source[f"{norm.name}.running_var"] + norm.eps).rsqrt()
    weight, shift = source[f"{layer}.weight"], source[f"{norm.name}.bias"] - source[f"{norm.name}.running_mean"] * scale
    bias = source.get(f"{layer}.bias")
    source[f"{layer}.bias"] = shift if bias is None else bias * scale + shift
    source[f"{layer}.weight"] = weight * scale.view(-1, *([1] * (weight.ndim - 1)))


def _fold(model: Model) -> dict[str, _Norm]:
    """Takes out every normalisation that follows a convolution or a linear layer; returns them by the layer's name."""
    norms, weights = dict[str, _Norm](), model.state_dict().keys()
    for path, layers in list(model.named_modules()):
        if type(layers) is not nn.Sequential:  # a subclass may call its layers in another order
            continue
        for (place, layer), (next_place, norm) in list(itertools.pairwise(layers.named_children())):
            if not isinstance(layer, nn.Conv2d | nn.Linear) or not isinstance(norm, _BatchNorm):
                continue
            if f"{path}.{place}.weight" in weights and _is_foldable(norm, len(layer.weight)):
                norms[f"{path}.{place}"] = _Norm(f"{path}.{next_place}", norm.eps)
                layer.bias = nn.Parameter(torch.zeros(len(layer.weight)), requires_grad=False)
                setattr(layers, next_place, nn.Identity())
    return norms


def _is_foldable(norm: _BatchNorm, num_outputs: int) -> bool:
    """Whether a layer with these outputs before it can do what it does; it needs weights and kept statistics."""
    return norm.affine and norm.track_running_stats and norm.num_features == num_outputs


def _in_type(model: Model, dtype: torch.dtype) -> None:
    """Gives weights this type; buffers and what normalisation remains stay in float32."""
    for module in model.modules():
        if not isinstance(module, _BatchNorm):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
