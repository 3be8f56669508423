"""Errors of devices: told by their names, with the fields to lower; all others stay as they are."""

import pytest
import torch
import torch.distributed as dist

from mzpipe.errors import DeviceError, ExitCode
from mzpipe.ipc.roles import Role
from mzpipe.runtime.agent import failure
from mzpipe.runtime.devices import device_error, device_errors

FULL = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 139.80 GiB of which 1.25 GiB is "
    "free. Including non-PyTorch memory, this process has 138.5 GiB in use. Of the allocated memory ..."
)
LOST = "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress' in https://docs..."


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError(FULL), "CUDA out of memory. Tried to allocate 2.50 GiB: lower x.y, or end what else"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`: lower x.y, or end what else",
        ),
        (
            torch.AcceleratorError(LOST),
            "CUDA error: an illegal memory access was encountered: the device failed: start",
        ),
        (
            torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
            "CUDA error: CUDA-capable device(s) is/are busy or unavailable: another process has it for itself",
        ),
        (RuntimeError(LOST), "CUDA error: an illegal memory access was encountered: the device failed: start"),
        (
            dist.DistBackendError("NCCL error in: NCCLUtils.hpp"),
            "NCCL error in: NCCLUtils.hpp: the learner's ranks lost",
        ),
    ],
)
def test_error_of_a_device_says_what_to_change(error, text):
    found = device_error(error, "x.y")
    assert str(found).startswith(text)
    assert found.exit_code == ExitCode.DEVICE
    assert found.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("CUDA error"), MemoryError()])
def test_other_errors_are_not_a_devices(error):
    assert device_error(error) is None


def test_device_errors_replaces_what_a_device_raised_and_nothing_else():
    with pytest.raises(DeviceError, match=r"lower learner\.batch_size"), device_errors():
        raise torch.OutOfMemoryError(FULL)
    with pytest.raises(RuntimeError, match=r"^shape mismatch$"), device_errors():
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize(
    ("role", "lower"), [(Role.LEARNER, "lower learner.batch_size"), (Role.INFERENCE, "lower topology.trees_per_lane")]
)
def test_role_that_runs_out_of_memory_ends_with_75_and_its_own_fields(role, lower):
    message = failure(torch.OutOfMemoryError(FULL), role)
    assert message.exit_code == 75
    assert message.summary.startswith("DeviceError: CUDA out of memory") and lower in message.summary
    assert "OutOfMemoryError" in message.traceback
