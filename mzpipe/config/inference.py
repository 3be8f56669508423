"""The inference servers: devices and batching."""

from typing import Annotated, Literal

from pydantic import Field

from .base import NonNegativeInt, section


@section(frozen=True)
class InferenceConfig:
    """One server per device."""

    # Devices, one server each: "auto" (every GPU, or the CPU), "cpu", or CUDA indices.
    devices: tuple[int | str, ...] = ("auto",)
    # How long the oldest pending lane may wait for the others, in microseconds.
    batch_timeout_us: NonNegativeInt = 200
    # What runs the network; "auto": onnxruntime on CPUs, torch on GPUs.
    runtime: Literal["auto", "torch", "onnxruntime"] = "auto"
    # Intra-op threads of the process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
