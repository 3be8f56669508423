"""Networks in eager torch: on GPUs, or where a profile asks for it. Hidden states are float32 in either precision.

Shape legend    R rows of a batch   A actions
"""

import copy

import numpy as np
import torch
from torch import Tensor

from .. import FlatWeights, Model, NetworkOutput, place_model


class TorchNetwork:
    """One model on its device; see `Network`."""

    def __init__(self, model: Model, pool: Tensor, *, bfloat16: bool) -> None:
        self._model, self._pool, self._flat = model, pool, FlatWeights(model)
        self._bfloat16 = bfloat16

    def load(self, weights: np.ndarray) -> None:
        """Copies the weights into the model."""
        self._flat.write(weights)

    @torch.inference_mode()
    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Initial inference."""
        with self._arithmetic():
            output = self._model.initial_inference(self._on_device(observation_R))
        return self._finish(output, self._on_device(target_R))

    @torch.inference_mode()
    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Recurrent inference."""
        source, target, action = (self._on_device(array) for array in (source_R, target_R, action_R))
        with self._arithmetic():
            output = self._model.recurrent_inference(self._pool.index_select(0, source), action)
        return self._finish(output, target)

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self._pool.device.type, torch.bfloat16, enabled=self._bfloat16)

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._pool.device)

    def _finish(self, output: NetworkOutput, target_R: Tensor) -> np.ndarray:
        """Stores the hidden states; returns the answers once the device has copied them into the host's memory."""
        output = _in_float32(output)
        self._pool.index_copy_(0, target_R, output.hidden_state)
        reward, value = self._model.reward(output).unsqueeze(1), self._model.value(output).unsqueeze(1)
        answer_RC: np.ndarray = torch.cat([reward, value, output.policy_logits_BA], dim=1).cpu().numpy()
        return answer_RC


def make_torch_networks(
    model: Model, device: torch.device, *, count: int, pool_rows: int, bfloat16: bool
) -> list[TorchNetwork]:
    """`count` networks over one pool."""
    model = place_model(model, device).eval()
    pool = torch.zeros(pool_rows, *model.hidden_shape, device=device)
    return [
        TorchNetwork(each, pool, bfloat16=bfloat16)
        for each in (model, *(copy.deepcopy(model) for _ in range(count - 1)))
    ]


def _in_float32(output: NetworkOutput) -> NetworkOutput:
    """The outputs in float32, so that neither scalars nor states in the pool are rounded once more."""
    rounded = {name: part.float() for name, part in output._asdict().items() if part is not None}
    return output._replace(**rounded)
