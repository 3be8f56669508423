"""Trials of a GPU for `mzpipe doctor`: each does once what a run does all the time, in a process of its own.

Run as a program: `python -m mzpipe.measure.gpu_trials NAME DEVICE`; it prints one line, and fails with another.
"""

import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from ..errors import DeviceError, MzpipeError
from ..runs.directory import SHARED_MEMORY
from ..runtime.devices import device_errors
from ..runtime.environment import child_environment

_TIMEOUT_S = 120.0
_BYTES = 1 << 22
_GIB = 1 << 30
_COMPILERS = ("cc", "gcc", "clang")
# Those of NVML, by number; a run needs several processes on a GPU.
_COMPUTE_MODES = ("default", "exclusive thread", "PROHIBITED", "EXCLUSIVE PROCESS")
_SHARED_MODES = (0,)


def describe(name: str) -> str:
    """The GPU's name, memory, capability, and whether it multiplies in bfloat16."""
    import torch

    from ..nets import device_has_bfloat16, use_device

    use_device(name, "auto")
    device = torch.device(name)
    properties, (free, total) = torch.cuda.get_device_properties(device), torch.cuda.mem_get_info(device)
    bfloat16 = "bfloat16" if device_has_bfloat16(device) else "no bfloat16"
    capability = f"{properties.major}.{properties.minor}"
    return f"{properties.name}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free, capability {capability}, {bfloat16}"


def compute_mode(name: str) -> str:
    """The GPU's compute mode, in which several processes must be able to share it."""
    import pynvml

    pynvml.nvmlInit()
    chosen = _as_the_driver_names(name)
    by = pynvml.nvmlDeviceGetHandleByIndex if isinstance(chosen, int) else pynvml.nvmlDeviceGetHandleByUUID
    mode = int(pynvml.nvmlDeviceGetComputeMode(by(chosen)))
    if mode not in _SHARED_MODES:
        raise DeviceError(
            f"{_COMPUTE_MODES[mode]}: learner and inference server are processes of their own, and need a device each: "
            "nvidia-smi -c 0 lets them share it"
        )
    return _COMPUTE_MODES[mode]


def _as_the_driver_names(name: str) -> int | str:
    """The GPU's number or UUID in nvidia-smi, which CUDA_VISIBLE_DEVICES does not change."""
    place, visible = int(name.partition(":")[2]), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    chosen = visible.split(",")[place].strip() if visible else str(place)
    return int(chosen) if chosen.isdecimal() else chosen


def shared_memory(name: str) -> str:
    """Registers a mapping in /dev/shm and copies from it while the host goes on."""
    import torch

    from ..nets import use_device
    from ..nets.pinned import register

    use_device(name, "auto")
    notes: list[str] = []
    with tempfile.TemporaryFile(dir=SHARED_MEMORY) as file:
        file.truncate(_BYTES)
        array = np.frombuffer(mmap.mmap(file.fileno(), _BYTES), np.uint8)
        array[:] = np.arange(_BYTES) % 251
        with register(array, torch.device(name), notes.append):
            copied = torch.from_numpy(array).to(name, non_blocking=True)
            torch.cuda.synchronize(name)
            if not np.array_equal(copied.cpu().numpy(), array):
                raise DeviceError("a copy from registered shared memory arrived changed")
    return notes[0] if notes else "can be registered: copies from rings overlap with work"


def graphs(name: str) -> str:
    """Captures a product in a graph and replays it with other numbers."""
    import torch

    from ..nets import use_device

    use_device(name, "auto")
    source = torch.ones(64, 64, device=name)
    stream = torch.cuda.Stream(name)
    stream.wait_stream(torch.cuda.current_stream(name))
    with torch.cuda.stream(stream):
        source @ source  # libraries allocate before the capture
    torch.cuda.synchronize(name)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        product = source @ source
    source.fill_(2.0)
    graph.replay()
    torch.cuda.synchronize(name)
    if float(product[0, 0]) != 4.0 * len(source):
        raise DeviceError("a replayed graph gave another result than its operations")
    return "captured and replayed"


def compilers(name: str) -> str:
    """Whether learner.compile finds what it needs."""
    found = next(filter(None, map(shutil.which, _COMPILERS)), None)
    missing = [*([] if find_spec("triton") else ["triton"]), *([] if found else ["a C compiler"])]
    if missing:
        return f"no {' and no '.join(missing)}: learner.compile=true says so and continues without"
    return f"triton, {found}"


def nccl(name: str) -> str:
    """Sums a number over a group of one rank."""
    import torch
    import torch.distributed as dist

    from ..nets import use_device

    if not dist.is_nccl_available():
        return "not in this build of torch: only one learner rank, or ranks that share a GPU"
    use_device(name, "auto")
    dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1, device_id=torch.device(name))
    number = torch.ones(1, device=name)
    dist.all_reduce(number)
    if float(number) != 1.0:
        raise DeviceError("a sum over one rank is not its number")
    dist.destroy_process_group()
    return "sums over ranks"


TRIALS: dict[str, Callable[[str], str]] = {
    "": describe,
    "compute mode": compute_mode,
    "shared memory": shared_memory,
    "graphs": graphs,
    "compilers": compilers,
    "NCCL": nccl,
}


def run_trial(trial: str, name: str) -> str:
    """The line of a trial in a process of its own; raises DeviceError with the last line that it wrote if it fails."""
    command = [sys.executable, "-P", "-m", __name__, trial, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=child_environment(1))
    except subprocess.TimeoutExpired:
        raise DeviceError(f"did not end within {_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DeviceError(said[-1] if said else f"ended with exit code {done.returncode}")
    return done.stdout.strip()


def main(trial: str, name: str) -> int:
    """Runs the program."""
    try:
        with device_errors():
            sys.stdout.write(f"{TRIALS[trial](name)}\n")
    except MzpipeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
