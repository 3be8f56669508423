"""Torch devices from the names that profiles use."""

import os
from collections.abc import Sequence

import torch

from ..errors import DeviceError
from ..runtime.gpus import gpu_sign
from .model import Model


def learner_devices(names: Sequence[int | str]) -> tuple[str, ...]:
    """Torch device strings of the learner's ranks; "auto" is one rank, on the first GPU or the CPU."""
    devices = resolve_devices(names)
    return tuple(devices[:1] if "auto" in names else devices)


def resolve_devices(names: Sequence[int | str]) -> list[str]:
    """Torch device strings; "auto" is every GPU, or the CPU, as often as it is named.

    Raises DeviceError for a missing one.
    """
    available = num_gpus()
    if "auto" in names:
        return ([f"cuda:{index}" for index in range(available)] or ["cpu"]) * names.count("auto")
    for name in names:
        if isinstance(name, int) and not 0 <= name < available:
            reason = ": ".join(filter(None, [f"this machine has {available} CUDA devices", unusable_gpu()]))
            raise DeviceError(f"device {name}: {reason}; use 'cpu' or 'auto'")
    return [f"cuda:{name}" if isinstance(name, int) else name for name in names]


def num_gpus() -> int:
    """The number of GPUs that torch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_memory(name: str) -> int:
    """Bytes of a GPU's memory, in use or free."""
    return int(torch.cuda.get_device_properties(name).total_memory)


def device_uuid(name: str) -> str:
    """The name that the driver has for a GPU, whatever its number here; "" if this torch does not tell."""
    uuid = getattr(torch.cuda.get_device_properties(name), "uuid", None)
    return "" if uuid is None else f"GPU-{uuid}"


def unusable_gpu() -> str:
    """Why torch sees no GPU though this machine shows one, and what to do; "" if it sees one, or if there is none."""
    sign = gpu_sign()
    if not sign or torch.cuda.is_available():
        return ""
    return f"this machine shows a GPU ({sign}), which torch {torch.__version__} does not see: {_reason()}"


def _reason() -> str:
    if torch.version.cuda is None:
        return "it is built without CUDA: install a build with CUDA (https://pytorch.org)"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={hidden!r}: unset it, or name a GPU in it"
    try:
        torch.cuda.init()
        said = "no device"
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
    return f"it is built for CUDA {torch.version.cuda}: {said}: compare with the driver's CUDA version (nvidia-smi)"


def device_has_bfloat16(device: torch.device) -> bool:
    """Whether torch is faster in bfloat16 on this device: GPUs since Ampere. On CPUs other overhead costs the gain."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def use_device(device: str | torch.device, precision: str) -> None:
    """Makes a GPU this process's current device, so that no other one gets a context.

    Its float32 arithmetic is that of the precision: "tf32" rounds the factors of products to 10 bits, as torch would by
    itself in convolutions. In one process (`--serial`) the precision of the last role to start holds for all.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def place_model(model: Model, device: str | torch.device) -> Model:
    """The model on its device, in the memory format in which its convolutions run fastest.

    On CPUs that is channels last: a training step of a small residual network takes about four fifths of the time, and
    the representation of one of EfficientZero's size three quarters. The results do not change.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device)
