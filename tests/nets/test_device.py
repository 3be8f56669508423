"""Devices by name, and a model in its place."""

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.errors import DeviceError
from mzpipe.nets import (
    FlatWeights,
    Model,
    device_has_bfloat16,
    learner_devices,
    numpy_state,
    place_model,
    resolve_devices,
    unusable_gpu,
    use_device,
)
from mzpipe.nets import device as module
from mzpipe.runtime import gpus as gpus_module

SMALL = NetworkConfig(kind="residual", num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3)


def make_model():
    torch.manual_seed(0)
    return Model(SMALL, (3, 16, 16), 4).eval()


def test_a_placed_model_computes_the_same_from_weights_in_another_order():
    plain, placed = make_model(), place_model(make_model(), "cpu")
    convolution = next(layer for layer in placed.modules() if isinstance(layer, torch.nn.Conv2d))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    images, action_B = torch.rand(5, 3, 16, 16), torch.tensor([0, 1, 2, 3, 0])
    with torch.inference_mode():
        for model in (plain, placed):
            root = model.initial_inference(images)
            node = model.recurrent_inference(root.hidden_state, action_B)
            model.found = (root.hidden_state, node.hidden_state, node.reward_logits_BM, node.policy_logits_BA)
    for first, second in zip(plain.found, placed.found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_the_flat_weights_and_the_state_of_a_placed_model_are_those_of_the_plain_one():
    plain, placed = make_model(), place_model(make_model(), "cpu")
    flat = FlatWeights(plain).read()
    np.testing.assert_array_equal(FlatWeights(placed).read(), flat)
    for (name, first), second in zip(numpy_state(plain).items(), numpy_state(placed).values(), strict=True):
        np.testing.assert_array_equal(first, second, err_msg=name)
        assert second.flags["C_CONTIGUOUS"]
    FlatWeights(placed).write(2.0 * flat)
    np.testing.assert_array_equal(FlatWeights(placed).read(), 2.0 * flat)


def test_devices_by_name(monkeypatch):
    assert resolve_devices(["cpu", "cpu"]) == ["cpu", "cpu"]
    assert learner_devices(["cpu"]) == ("cpu",)
    monkeypatch.setattr(module, "num_gpus", lambda: 2)
    assert resolve_devices(["auto"]) == ["cuda:0", "cuda:1"]
    assert resolve_devices(["auto", "auto"]) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert learner_devices(["auto"]) == ("cuda:0",)
    with pytest.raises(DeviceError, match=r"device 99: this machine has \d+ CUDA devices; use 'cpu' or 'auto'"):
        resolve_devices([99])


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs as torch shows them; the second one is older. Records the current device."""
    current = [0]

    class On:
        def __init__(self, device):
            self.device = torch.device(device)

        def __enter__(self):
            self.former, current[0] = current[0], self.device.index

        def __exit__(self, *error):
            current[0] = self.former

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", On)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.__setitem__(0, torch.device(device).index))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[0] == 0)
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    former = cudnn.allow_tf32, matmul.allow_tf32
    yield current
    cudnn.allow_tf32, matmul.allow_tf32 = former


def test_bfloat16_is_asked_of_the_device_and_not_of_the_current_one(gpus):
    assert device_has_bfloat16(torch.device("cuda:0"))
    assert not device_has_bfloat16(torch.device("cuda:1"))
    assert not device_has_bfloat16(torch.device("cpu"))
    assert gpus == [0]


@pytest.mark.parametrize(
    ("precision", "rounds"), [("float32", False), ("auto", False), ("bfloat16", False), ("tf32", True)]
)
def test_used_device_is_current_and_rounds_float32_only_as_tf32(gpus, precision, rounds):
    use_device("cuda:1", precision)
    assert gpus == [1]
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (rounds, rounds)


def test_cpu_in_use_changes_nothing(gpus):
    use_device("cpu", "tf32")
    assert gpus == [0]
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with an NVIDIA GPU, of which torch sees nothing."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia3").touch()
    (tmp_path / "dev" / "nvidiactl").touch()
    monkeypatch.setattr(gpus_module, "_ROOT", tmp_path)
    monkeypatch.setattr(gpus_module.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    return tmp_path


def test_gpu_that_a_build_without_cuda_cannot_use_is_named_with_the_remedy(machine, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert unusable_gpu() == (
        f"this machine shows a GPU ({machine}/dev/nvidia3), which torch {torch.__version__} does not see: "
        "it is built without CUDA: install a build with CUDA (https://pytorch.org)"
    )


def test_gpu_that_a_variable_hides_is_named_with_the_variable(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert unusable_gpu().endswith(": CUDA_VISIBLE_DEVICES='': unset it, or name a GPU in it")


def test_gpu_whose_driver_is_too_old_is_named_with_torchs_own_words(machine, monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update")

    monkeypatch.setattr(torch.cuda, "init", init)
    said = "it is built for CUDA 13.0: The NVIDIA driver on your system is too old (found version 11040).: compare with"
    assert said in unusable_gpu()
    with pytest.raises(
        DeviceError, match=r"^device 0: this machine has 0 CUDA devices: .*driver on your system is too old"
    ):
        resolve_devices([0])


def test_nvidia_smi_alone_shows_a_gpu(machine, monkeypatch):
    (machine / "dev" / "nvidia3").unlink()
    assert unusable_gpu() == ""
    monkeypatch.setattr(gpus_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert unusable_gpu().startswith("this machine shows a GPU (/usr/bin/nvidia-smi), which torch")


def test_gpu_that_torch_sees_is_usable(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert unusable_gpu() == ""
