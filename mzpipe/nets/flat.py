"""The model as one flat float32 array, the form in which weights travel through shared memory."""

import numpy as np
import torch

from .model import Model, training_only_names


class FlatWeights:
    """Copies a model's floating-point parameters and buffers to and from a flat array, in state-dict order.

    Training heads are left out: the array is that of the same model without them.
    """

    def __init__(self, model: Model) -> None:
        left_out = training_only_names(model)
        state = {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}
        self._tensors = [tensor for tensor in state.values() if tensor.is_floating_point()]
        self.size = sum(tensor.numel() for tensor in self._tensors)

    def read(self) -> np.ndarray:
        """A new flat float32 array of the model as it stands."""
        return torch.cat([tensor.detach().reshape(-1).float() for tensor in self._tensors]).cpu().numpy()

    @torch.no_grad()
    def write(self, flat: np.ndarray) -> None:
        """Loads the model from a flat array of `size` values."""
        source, start = torch.from_numpy(flat), 0
        for tensor in self._tensors:
            tensor.copy_(source[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


def numpy_state(model: Model) -> dict[str, np.ndarray]:
    """The model's state by name, for a checkpoint."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()}
