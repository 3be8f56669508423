"""The cost of one inference: floating-point operations, counted by torch."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .model import Model


class OutputBytes(NamedTuple):
    """Bytes of a node's hidden state, and of the outputs of all modules for one root and for one unroll."""

    hidden_state: int
    root: int
    unroll: int


@torch.no_grad()
def output_bytes(
    model: Model, observation: Tensor, num_unroll_steps: int, *, num_compared: int | None = None
) -> OutputBytes:
    """Measures the outputs for one stacked observation [1, ...]; changes the model's training mode only.

    `num_compared` is the number of an unroll's steps whose consistency is computed; None: all.
    """
    model.eval()
    state = model.represent(observation)
    action = model.no_action(observation.device)
    represent, widest = _bytes_of(model, lambda: model.represent(observation))
    step, _ = _bytes_of(model, lambda: _step(model, state, action))
    predict, _ = _bytes_of(model, lambda: model.prediction(state))
    unroll = represent + num_unroll_steps * step + (num_unroll_steps + 1) * predict
    if (consistency := model.consistency) is not None:
        # Both branches of its modules count, and the representation's widest output: it runs without gradient then.
        compare, _ = _bytes_of(model, lambda: consistency(state, state))
        unroll += (num_unroll_steps if num_compared is None else num_compared) * (compare + widest)
    if (decoder := model.decoder) is not None:
        decode, _ = _bytes_of(model, lambda: decoder(state))
        unroll += (num_unroll_steps + 1) * decode
    if (encoder := model.encoder) is not None:
        # An afterstate takes a prediction, and the outcome an encoding; both dynamics functions count in a step.
        seen = model.observe(observation).repeat(2, *[1] * (observation.ndim - 1))  # it normalises over two at least
        outcome = seen.new_zeros(2, 2)
        encode, _ = _bytes_of(model, lambda: encoder(seen, seen, outcome))
        unroll += num_unroll_steps * (predict + encode // 2)
    hidden_bytes = prod(model.hidden_shape) * state.element_size()
    return OutputBytes(hidden_bytes, represent + predict, unroll)


def _step(model: Model, state: Tensor, action: Tensor) -> None:
    """One step as the loss unrolls it."""
    outputs, _ = model.step(state, action)
    if model.value_prefix is not None:
        model.value_prefix(outputs, None)


def _bytes_of(model: Model, call: Callable[[], object]) -> tuple[int, int]:
    """Bytes of the outputs of all innermost modules in one call: their sum, and the widest."""
    sizes: list[int] = []

    def add(module: nn.Module, inputs: object, outputs: object) -> None:
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor)))

    hooks = [each.register_forward_hook(add) for each in model.modules() if not list(each.children())]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes), max(sizes)


class InferenceFlops(NamedTuple):
    """Operations of one root and of one recurrent inference of one sample."""

    root: int
    recurrent: int


@torch.no_grad()
def inference_flops(model: Model, observation: Tensor) -> InferenceFlops:
    """Multiply-adds times two of convolutions and matrix products, for one stacked observation [1, ...].

    Everything else (normalisation, activations, softmax) is left out, as is usual. Works on the meta device; changes
    only the model's training mode.
    """
    model.eval()
    action = torch.zeros(1, dtype=torch.int32, device=observation.device)
    with FlopCounterMode(display=False) as root:
        output = model.initial_inference(observation)
    with FlopCounterMode(display=False) as recurrent:
        model.recurrent_inference(output.hidden_state, action)
    return InferenceFlops(root.get_total_flops(), recurrent.get_total_flops())
