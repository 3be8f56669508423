"""The networks of an inference server, in the runtime and precision that its profile and device ask for.

A runtime for CPUs is imported, and onnx with it, only when it is chosen: each takes half a second and tens of
megabytes.
"""

from collections.abc import Callable
from typing import Protocol

import torch

from ...config import Profile
from ...errors import DeviceError, OwnCodeError
from ...extras import EXTRAS, how_to_install, is_installed, require
from .. import Model, device_has_bfloat16
from . import Arithmetic, Network
from .host_network import HostFlight, HostNetwork, SessionMaker
from .host_pool import HostPool
from .own_networks import checked_networks
from .torch_flight import Runway
from .torch_network import make_torch_networks


class Sizes(Protocol):
    """The sizes of a model's inputs and outputs; a GameSpec or a PlaneShape has them."""

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of one stacked observation."""

    @property
    def frame_dtype(self) -> str:
        """Dtype of observations."""

    @property
    def num_actions(self) -> int:
        """Number of the game's actions."""

    @property
    def action_size(self) -> int:
        """Numbers of an action that is a vector; 0: actions are places in a list."""


def make_networks(
    profile: Profile,
    sizes: Sizes,
    device: torch.device,
    *,
    count: int,
    pool_rows: int,
    max_batch: int,
    note: Callable[[str], None] = lambda line: None,
) -> list[Network]:
    """`count` networks over one pool, as `resolve_arithmetic` says, for batches of up to max_batch.

    `note` gets a line where the device runs them in a slower way than it should.
    Raises DeviceError for a runtime or a precision that the device does not have, and OwnCodeError for a network of the
    user's own that the runtime cannot run; where the runtime is "auto", torch then takes its place.
    """
    model = Model(profile.network, sizes.observation_shape, sizes.num_actions, action_size=sizes.action_size)
    arithmetic = resolve_arithmetic(profile, device)
    fastest = _fastest(profile, device)
    if profile.inference.runtime == "auto" and arithmetic.runtime != fastest:
        note(f"{fastest} is not installed: torch takes its place and is slower: {how_to_install(fastest)}")
    engine = _Engine(profile, model, sizes, device, note, count=count, pool_rows=pool_rows, max_batch=max_batch)
    if not profile.network.is_own:
        return engine.networks(arithmetic)
    try:
        return checked_networks(engine.networks, arithmetic, model, sample_observation(sizes), sizes.num_actions)
    except OwnCodeError as error:
        if profile.inference.runtime != "auto" or arithmetic.runtime == "torch":
            raise
        note(f"{arithmetic.runtime} does not run this network: torch takes its place and is slower: {error}")
    in_torch = Arithmetic("torch", profile.inference.precision == "bfloat16")
    return checked_networks(engine.networks, in_torch, model, sample_observation(sizes), sizes.num_actions)


class _Engine:
    """Makes the networks of one model, in any runtime."""

    def __init__(
        self,
        profile: Profile,
        model: Model,
        sizes: Sizes,
        device: torch.device,
        note: Callable[[str], None],
        *,
        count: int,
        pool_rows: int,
        max_batch: int,
    ) -> None:
        self._profile, self._model, self._sizes, self._device, self._note = profile, model, sizes, device, note
        self._count, self._pool_rows, self._max_batch = count, pool_rows, max_batch

    def networks(self, arithmetic: Arithmetic) -> list[Network]:
        """Those of one runtime and precision."""
        return self._in_torch(arithmetic) if arithmetic.runtime == "torch" else self._on_host(arithmetic)

    def _in_torch(self, arithmetic: Arithmetic) -> list[Network]:
        torch_networks = make_torch_networks(
            self._model,
            sample_observation(self._sizes),
            self._model.num_policy_columns,
            Runway(self._device, self._note),
            count=self._count,
            pool_rows=self._pool_rows,
            max_batch=self._max_batch,
            bfloat16=arithmetic.bfloat16,
        )
        return list(torch_networks)

    def _on_host(self, arithmetic: Arithmetic) -> list[Network]:
        sizes = self._sizes
        pool = HostPool(self._pool_rows, self._model.hidden_shape, self._max_batch, self._model.num_policy_columns)
        flight = HostFlight(pool, sizes.observation_shape, sizes.frame_dtype)
        make_sessions = session_maker(self._profile, self._model, sizes, pool, arithmetic)
        return [HostNetwork(make_sessions, pool, flight) for _ in range(self._count)]


def session_maker(profile: Profile, model: Model, sizes: Sizes, pool: HostPool, arithmetic: Arithmetic) -> SessionMaker:
    """The maker of a CPU runtime's sessions for this model."""
    from .onnx_inference import inference_graphs

    graphs, threads = inference_graphs(model, sample_observation(sizes)), profile.inference.num_threads
    if arithmetic.runtime == "onnxruntime":
        from .onnxruntime_sessions import onnxruntime_maker

        return onnxruntime_maker(graphs, pool, num_threads=threads)
    from .openvino_sessions import openvino_maker

    return openvino_maker(graphs, pool, num_threads=threads, bfloat16=arithmetic.bfloat16)


def resolve_arithmetic(profile: Profile, device: torch.device) -> Arithmetic:
    """Resolves "auto" (decision 16): torch on GPUs; on CPUs OpenVINO for convolutions, else onnxruntime.

    Where that is not installed it is torch. Raises DeviceError for a CPU runtime on a GPU, UsageError for one that is
    not installed.
    """
    runtime, precision = _runtime(profile, device), profile.inference.precision
    if precision != "auto":
        return Arithmetic(runtime, precision == "bfloat16")
    if runtime == "torch":
        return Arithmetic(runtime, device_has_bfloat16(device))
    return Arithmetic(runtime, runtime == "openvino" and _processor_has_bfloat16())


def _runtime(profile: Profile, device: torch.device) -> str:
    named = profile.inference.runtime
    if named == "auto":
        fastest = _fastest(profile, device)
        return fastest if _is_there(fastest) else "torch"
    if named in ("onnxruntime", "openvino") and device.type != "cpu":
        raise DeviceError(f'inference.runtime="{named}" runs on CPUs, not on {device}: use "torch" or "auto"')
    if named in EXTRAS:
        require(named, f"inference.runtime={named!r}")
    return named


def _is_there(runtime: str) -> bool:
    """Whether a runtime is installed; the CPU's take the graphs from onnx."""
    return runtime == "torch" or (is_installed(runtime) and is_installed("onnx"))


def _fastest(profile: Profile, device: torch.device) -> str:
    if device.type != "cpu":
        return "torch"
    with_openvino = profile.network.kind == "residual" or profile.inference.precision == "bfloat16"
    return "openvino" if with_openvino else "onnxruntime"


def _processor_has_bfloat16() -> bool:
    from .openvino_sessions import processor_has_bfloat16

    return processor_has_bfloat16()


def sample_observation(sizes: Sizes) -> torch.Tensor:
    """A stacked observation [1, ...] of zeros."""
    return torch.zeros(1, *sizes.observation_shape, dtype=getattr(torch, sizes.frame_dtype))
