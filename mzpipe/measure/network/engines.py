"""Checks of what runs the model in place of its code: folding, bfloat16, CUDA graphs, the runtimes for CPUs, export."""

import dataclasses
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from ...config import Profile
from ...errors import OwnCodeError
from ...extras import is_installed
from ...nets import FlatWeights, Model
from ...nets.engines import Arithmetic, Network
from ...nets.engines.folded import FoldedModel
from ...nets.engines.networks import make_networks
from ...nets.engines.own_networks import checked_networks, expected_answers, random_observations
from .trial import Trial

_CPU, _ROWS, _ROUNDING = torch.device("cpu"), 8, 1e-3
CPU_RUNTIMES = ("onnxruntime", "openvino")
# Operators that make the host wait for a GPU, or copy from it, which no graph can hold.
_WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "is_nonzero", "equal")
_FROM_HOST = ("lift_fresh", "lift")
# It looks at its numbers on CPUs alone.
_ONLY_ON_CPUS = "one_hot("
_TORCH, _MZPIPE = Path(torch.__file__).parent, Path(__file__).parents[2]


class Remark(str):
    """A line about what works in another way; nothing is wrong."""


def networks_of(trial: Trial, profile: Profile, rows: int) -> list[Network]:
    """One network of the profile's, for batches of this many rows."""
    return make_networks(profile, trial.game, _CPU, count=1, pool_rows=2 * rows, max_batch=rows)


def in_runtime(profile: Profile, runtime: str, precision: str = "float32") -> Profile:
    """The profile with another runtime on the CPU."""
    changed: dict[str, Any] = {"runtime": runtime, "precision": precision, "devices": ("cpu",)}
    inference = dataclasses.replace(profile.inference, **changed)
    return dataclasses.replace(profile, inference=inference)


def answers_as_torch(trial: Trial, runtime: str, precision: str = "float32") -> None:
    """Raises OwnCodeError if it does not run in this runtime, or answers otherwise."""
    profile, arithmetic = in_runtime(trial.profile, runtime, precision), Arithmetic(runtime, precision == "bfloat16")
    checked_networks(
        lambda _: networks_of(trial, profile, _ROWS), arithmetic, trial.fresh, trial.sample, trial.game.num_actions
    )


def _folded(trial: Trial) -> str:
    folded = FoldedModel(trial.model, _CPU, torch.float32)
    folded.load(torch.from_numpy(FlatWeights(trial.model).read()))
    observation_R, num_actions = random_observations(trial.sample, _ROWS), trial.game.num_actions
    expected = expected_answers(trial.model, observation_R, num_actions)
    found = expected_answers(folded.model, observation_R, num_actions)
    apart = float(abs(found - expected).max() / (1.0 + abs(expected).max()))
    if not apart <= _ROUNDING:
        raise OwnCodeError(
            f"with folded batch normalisation it answers otherwise, by {apart:.2g} of the largest answer"
        )
    before, after = (_num_norms(model) for model in (trial.model, folded.model))
    return f"{before - after} of {before} batch normalisations" if before else "no batch normalisation"


def _num_norms(model: Model) -> int:
    return sum(isinstance(each, _BatchNorm) for each in model.modules())


def _bfloat16(trial: Trial) -> str:
    try:
        answers_as_torch(trial, "torch", "bfloat16")
    except OwnCodeError as error:
        return Remark(f'{error}: on GPUs set inference.precision="float32"')
    return "answers like float32, as far as its bits reach"


def _graphs(trial: Trial) -> str:
    observation = trial.observations(_ROWS)
    with _Watch() as watch:
        trial.walk(trial.model, observation)
    if watch.found:
        return Remark(f"{watch.found[0]}: no CUDA graph can hold that: on a GPU every operation is a launch")
    return "nothing in it waits for the device or copies from the host, as far as a CPU shows"


class _Watch(TorchDispatchMode):
    """Notes the operators that a CUDA graph cannot hold, with the line that asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See torch."""
        if what := _hindrance(func._schema.name.partition("::")[2], args):
            line = _line()
            if line is None or _ONLY_ON_CPUS not in (line.line or ""):
                place = f" ({Path(line.filename).name}, line {line.lineno})" if line else ""
                self.found.append(f"{what}{place}")
        return func(*args, **(kwargs or {}))


def _hindrance(operator: str, inputs: Any) -> str:
    by_mask = operator == "index" and any(each is not None and each.dtype == torch.bool for each in inputs[1])
    if operator in _WAITS or by_mask:
        return "the host waits for what the device has computed"
    return "a tensor is made from Python's numbers in every call" if operator in _FROM_HOST else ""


def _line() -> traceback.FrameSummary | None:
    """The innermost line of other people's code."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if not (frame.filename.startswith("<") or path.is_relative_to(_TORCH) or path.is_relative_to(_MZPIPE)):
            return frame
    return None


def _runtimes(trial: Trial) -> str:
    good, bad = [], []
    for runtime in CPU_RUNTIMES:
        if not is_installed(runtime) or not is_installed("onnx"):
            bad.append(f"{runtime} is not installed")
            continue
        try:
            answers_as_torch(trial, runtime)
            good.append(runtime)
        except OwnCodeError as error:
            bad.append(f"{runtime} is not used: {error}")
    if not good:
        return Remark("; ".join(["torch runs it on CPUs, too", *bad]))
    return "; ".join([f"{' and '.join(good)} answer as torch does", *bad])


def _export(trial: Trial) -> str:
    if not is_installed("onnx"):
        return Remark("onnx is not installed: nothing is exported")
    from ...nets.onnx_export import exported

    try:
        exported(trial.model, trial.sample, trial.game.num_actions)
    except OwnCodeError as error:
        return Remark(f"`export --onnx` refuses it: {error}")
    return "the three graphs answer as torch does"


ENGINES: dict[str, Callable[[Trial], str]] = {
    "folded": _folded,
    "bfloat16": _bfloat16,
    "CUDA graphs": _graphs,
    "CPU runtimes": _runtimes,
    "ONNX export": _export,
}
