"""The networks of an inference server, in the runtime that its profile and device ask for."""

import torch

from ..config import Profile
from ..errors import DeviceError
from ..ipc.dataplane import PlaneShape
from ..nets import Model
from .network import Network
from .onnx_network import Pool, make_onnx_networks
from .torch_network import make_torch_networks


def make_networks(
    profile: Profile, shape: PlaneShape, device: torch.device, *, count: int, pool_rows: int, max_batch: int
) -> list[Network]:
    """So many networks over one pool, in the runtime that `inference.runtime` names, for batches of up to max_batch.

    Raises DeviceError for onnxruntime on a GPU.
    """
    model = Model(profile.network, shape.observation_shape, shape.num_actions)
    if resolve_runtime(profile, device) == "torch":
        return list(make_torch_networks(model, device, count=count, pool_rows=pool_rows))
    observation, threads = sample_observation(shape), profile.inference.num_threads
    pool = Pool(pool_rows, model.hidden_shape, max_batch, shape.num_actions)
    return list(make_onnx_networks(model, observation, count=count, pool=pool, num_threads=threads))


def resolve_runtime(profile: Profile, device: torch.device) -> str:
    """The runtime's name: for "auto" torch on GPUs, and onnxruntime on CPUs, in a quarter to four fifths of its time.

    Raises DeviceError for onnxruntime on a GPU.
    """
    runtime = profile.inference.runtime
    if runtime == "auto":
        return "onnxruntime" if device.type == "cpu" else "torch"
    if runtime == "onnxruntime" and device.type != "cpu":
        raise DeviceError(f'inference.runtime="onnxruntime" runs on CPUs, not on {device}: use "torch" or "auto"')
    return runtime


def sample_observation(shape: PlaneShape) -> torch.Tensor:
    """A stacked observation [1, ...] of zeros."""
    return torch.zeros(1, *shape.observation_shape, dtype=getattr(torch, shape.frame_dtype))
