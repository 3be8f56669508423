"""The doctor's trials of a GPU: each in a process of its own, whose last line is the result or the fault."""

import sys

import pytest
import torch

from mzpipe.cli import doctor
from mzpipe.cli.main import main
from mzpipe.errors import DeviceError
from mzpipe.measure import gpu_trials
from mzpipe.measure.gpu_trials import TRIALS, compute_mode, run_trial
from tests.telemetry.nvml import Nvml


@pytest.mark.slow
def test_trial_runs_in_a_process_of_its_own_and_gives_its_line():
    assert "learner.compile" in (line := run_trial("compilers", "cuda:0")) or line.startswith("triton, ")
    assert "\n" not in line


@pytest.mark.slow
def test_trial_that_fails_says_why_in_a_line():
    with pytest.raises(DeviceError, match=r"^\w+: .*\S$") as caught:
        run_trial("graphs", "cuda:99")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("trial", ["", "shared memory", "graphs"])
def test_trial_passes_on_the_stand_in_gpu(trial, monkeypatch):
    stand_in = pytest.importorskip("tests.stand_in_gpu")
    if stand_in.compiler() is None:
        pytest.skip("the stand-in GPU needs a C++ compiler")
    for variable, value in stand_in.stand_in_environment().items():
        monkeypatch.setenv(variable, value)
    line = run_trial(trial, "cuda:0")
    wanted = {"": "capability", "shared memory": "can be registered: copies", "graphs": "captured and replayed"}
    assert wanted[trial] in line


def test_trial_on_a_full_device_ends_with_75_and_the_fields_to_lower(monkeypatch, capsys):
    def full(name):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has more to say.")

    monkeypatch.setitem(TRIALS, "graphs", full)
    assert gpu_trials.main("graphs", "cuda:0") == 75
    assert capsys.readouterr().err.startswith(
        "CUDA out of memory. Tried to allocate 2.00 GiB: lower learner.batch_size"
    )


@pytest.fixture
def driver(monkeypatch):
    """A driver with four GPUs; the third is for one process alone."""

    class Modes(Nvml):
        def nvmlDeviceGetComputeMode(self, handle):
            return {2: 3, "GPU-b": 2}.get(handle, 0)

        def nvmlDeviceGetHandleByUUID(self, uuid):
            return uuid

    monkeypatch.setitem(sys.modules, "pynvml", Modes([0, 0, 0, 0]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_compute_mode_in_which_processes_cannot_share_a_gpu_is_a_fault(driver, monkeypatch):
    assert compute_mode("cuda:1") == "default"
    with pytest.raises(DeviceError, match=r"^EXCLUSIVE PROCESS: .*: nvidia-smi -c 0 lets them share it$"):
        compute_mode("cuda:2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,2,GPU-b")
    assert compute_mode("cuda:0") == "default"
    with pytest.raises(DeviceError, match="EXCLUSIVE PROCESS"):
        compute_mode("cuda:1")
    with pytest.raises(DeviceError, match="PROHIBITED"):
        compute_mode("cuda:2")


def test_doctor_has_a_line_for_every_trial_of_every_gpu_and_exits_2_when_one_fails(monkeypatch, capsys):
    def run(trial, name):
        if (trial, name) == ("graphs", "cuda:1"):
            raise DeviceError("a replayed graph gave another result than its operations")
        return f"{name} does it"

    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr(doctor, "run_trial", run)
    monkeypatch.setattr("mzpipe.nets.resolve_devices", lambda names: ["cuda:0", "cuda:1"])
    assert main(["doctor"]) == 2
    lines = capsys.readouterr().out.splitlines()[1:]  # the first line is that of the kernel cache
    assert len(lines) == 2 * len(TRIALS)
    assert lines[0] == "ok    cuda:0               cuda:0 does it"
    (failed,) = [line for line in lines if line.startswith("FAIL")]
    assert failed == "FAIL  cuda:1 graphs        a replayed graph gave another result than its operations"


def test_doctor_tries_no_gpu_where_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr("mzpipe.nets.resolve_devices", lambda names: ["cpu"])
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok    kernel cache ")
