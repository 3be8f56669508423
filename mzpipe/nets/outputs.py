"""Bytes that a model's modules put out: what a plan reckons with before anything runs."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .model import Model


class OutputBytes(NamedTuple):
    """Bytes of a hidden state, and of all modules' outputs for one root and for one unroll of num_unroll_steps."""

    hidden_state: int
    root: int
    unroll: int


@torch.no_grad()
def output_bytes(model: Model, observation: Tensor, num_unroll_steps: int) -> OutputBytes:
    """Of one stacked observation [1, ...]; leaves the model as it was, but for its training mode."""
    model.eval()
    hidden_state = model.represent(observation)
    action = torch.zeros(1, dtype=torch.int32)
    represent = _bytes_of(model, lambda: model.represent(observation))
    step = _bytes_of(model, lambda: model.step(hidden_state, action))
    predict = _bytes_of(model, lambda: model.prediction(hidden_state))
    unroll = represent + num_unroll_steps * step + (num_unroll_steps + 1) * predict
    return OutputBytes(hidden_state.numel() * hidden_state.element_size(), represent + predict, unroll)


def _bytes_of(model: Model, call: Callable[[], object]) -> int:
    """Bytes of the outputs of all innermost modules in one call."""
    total = 0

    def add(module: nn.Module, inputs: object, outputs: object) -> None:
        nonlocal total
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor))

    hooks = [each.register_forward_hook(add) for each in model.modules() if not list(each.children())]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return total
