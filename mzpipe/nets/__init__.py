"""The model and its three functions, in torch."""

from .device import (
    device_has_bfloat16,
    device_memory,
    device_uuid,
    learner_devices,
    num_gpus,
    place_model,
    resolve_devices,
    unusable_gpu,
    use_device,
)
from .flat import FlatWeights, model_of, numpy_copies, numpy_state, restore_model, state_fields
from .model import Model, NetworkOutput, mean_image_weight

__all__ = [
    "FlatWeights",
    "Model",
    "NetworkOutput",
    "device_has_bfloat16",
    "device_memory",
    "device_uuid",
    "learner_devices",
    "mean_image_weight",
    "model_of",
    "num_gpus",
    "numpy_copies",
    "numpy_state",
    "place_model",
    "resolve_devices",
    "restore_model",
    "state_fields",
    "unusable_gpu",
    "use_device",
]
