"""Whether this machine has a GPU, told without torch and without the GPU's driver."""

import os
import shutil
from pathlib import Path

_ROOT = Path("/")
# Files that show a GPU to a program that does not load its driver.
_NODES = ("dev/nvidia[0-9]*", "dev/kfd", "dev/dxg")
_NVIDIA_NODES = "dev/nvidia[0-9]*"


def gpu_nodes() -> list[str]:
    """The device files of this machine's GPUs, each with whether this user may open it."""
    paths = sorted(path for pattern in _NODES for path in _ROOT.glob(pattern))
    return [f"{path} {os.access(path, os.R_OK | os.W_OK)}" for path in paths]


def gpu_sign() -> str:
    """What shows that this machine has an NVIDIA GPU: its device file, or the path of nvidia-smi; "" for nothing."""
    nodes = sorted(_ROOT.glob(_NVIDIA_NODES))
    return str(nodes[0]) if nodes else shutil.which("nvidia-smi") or ""
