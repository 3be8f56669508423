"""Lists what the result of a rehearsal depends on, apart from mzpipe's own sources; loads no library for that."""

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

from ..config import Profile
from ..games import GameSpec
from ..runtime.environment import child_environment
from ..runtime.gpus import gpu_nodes
from .rehearsal import tiny

_ROOT = Path("/")
# Lines of /proc/cpuinfo that identify the processor; its instructions are in "flags" or, on ARM, in "Features".
_PROCESSOR = (
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "CPU implementer",
    "CPU part",
    "CPU revision",
)
_FLAGS = ("flags", "Features")
_GPU_TEXTS = ("proc/driver/nvidia/version", "proc/driver/nvidia/gpus/*/information")
# Prefixes of the environment variables that Python, the libraries that mzpipe uses, or mzpipe itself read.
_VARIABLES = (
    *("PYTHON", "LD_", "MZPIPE_", "NUMBA_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "TORCH", "PYTORCH_", "ATEN_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "ONEDNN_", "DNNL_", "ORT_", "OV_", "OPENVINO_", "ALE_", "SDL_"),
)


def dependencies(profile: Profile, game: GameSpec) -> dict[str, object] | None:
    """All that must be the same for a rehearsal's result to hold again; None if a part of it cannot be determined.

    A rehearsal sees only the tiny profile, so only the tiny profile counts.
    """
    try:
        return _dependencies(profile, game)
    except OSError:
        return None


def _dependencies(profile: Profile, game: GameSpec) -> dict[str, object] | None:
    source, processor = _own_source(profile.game.name), _processor()
    # The sizes of a network of one's own depend on all that its code imports.
    if source is None or processor is None or profile.network.is_own:
        return None
    return {
        "profile": dataclasses.asdict(tiny(profile)),
        "game": dataclasses.asdict(game),
        "source": source,
        "python": [sys.version, sys.prefix],
        "packages": _packages(),
        "processor": processor,
        "kernel": [os.uname().release, os.uname().machine],
        "gpus": [*gpu_nodes(), *_gpu_texts()],
        "environment": _environment(),
    }


def _gpu_texts() -> list[str]:
    paths = sorted(path for pattern in _GPU_TEXTS for path in _ROOT.glob(pattern))
    return [path.read_text(errors="replace") for path in paths]


def _own_source(name: str) -> str | None:
    """File and digest of the user's own game, "" for mzpipe's; None if it is a package or library, not a single file.

    The user's own game is named module:Class, and its spec comes from an import of the module.
    """
    if ":" not in name:
        return ""
    module = sys.modules.get(name.partition(":")[0])
    spec = getattr(module, "__spec__", None)
    if spec is None or spec.parent or not (spec.origin or "").endswith(".py"):
        return None
    return f"{spec.origin} {hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()}"


def _processor() -> list[str] | None:
    """Model and instructions of the first processor; None on a machine that does not list its instructions."""
    text = (_ROOT / "proc/cpuinfo").read_text().partition("\n\n")[0]
    fields = {name.strip(): value for name, _, value in (line.partition(":") for line in text.splitlines())}
    if not any(name in fields for name in _FLAGS):
        return None
    return [fields.get(name, "") for name in (*_PROCESSOR, *_FLAGS)]


def _packages() -> list[str]:
    """Names, versions and installation times of all packages that Python finds."""
    found = {path for directory in sys.path for path in Path(directory).glob("*.dist-info")}
    return sorted(f"{path.name} {path.stat().st_mtime_ns}" for path in found)


def _environment() -> list[str]:
    """The variables that count, with the values that the rehearsal program gets."""
    return sorted(f"{name}={value}" for name, value in child_environment(1).items() if name.startswith(_VARIABLES))
