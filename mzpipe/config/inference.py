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
    # What runs the network; "auto": torch on GPUs; on CPUs OpenVINO for residual networks, onnxruntime for an mlp.
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    # Arithmetic of the network; "auto": bfloat16 where the device multiplies in it (GPUs since Ampere; with OpenVINO,
    # CPUs with AVX-512 BF16 or AMX), else float32. Hidden states are kept in float32 always.
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    # Intra-op threads of the process.
    num_threads: Annotated[int, Field(ge=1, le=256)] = 1
