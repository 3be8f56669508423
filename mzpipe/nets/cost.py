"""What one inference costs: floating-point operations, counted by torch."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .model import Model


class InferenceFlops(NamedTuple):
    """Operations of one root and of one recurrent inference of one sample."""

    root: int
    recurrent: int


@torch.no_grad()
def inference_flops(model: Model, observation: Tensor) -> InferenceFlops:
    """Multiply-adds times two, of convolutions and matrix products, for one stacked observation [1, ...].

    Everything else (normalisation, activations, softmax) is left out, as is usual. Works on the meta device; leaves
    the model as it was, but for its training mode.
    """
    model.eval()
    action = torch.zeros(1, dtype=torch.int32, device=observation.device)
    with FlopCounterMode(display=False) as root:
        output = model.initial_inference(observation)
    with FlopCounterMode(display=False) as recurrent:
        model.recurrent_inference(output.hidden_state, action)
    return InferenceFlops(root.get_total_flops(), recurrent.get_total_flops())
