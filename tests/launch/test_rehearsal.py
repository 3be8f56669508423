"""The model's sizes that a rehearsal finds, and that every reader of its result gets the same."""

import dataclasses
import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from mzpipe.games import describe_game
from mzpipe.launch import rehearsal
from mzpipe.launch.rehearsal import RESULT_FILE, describe_model, lacking_devices, read_prepared, write_prepared
from mzpipe.nets import FlatWeights, Model
from mzpipe.runs.directory import save_profile
from tests.tiny import tiny_profile

_WITHOUT_CPU_RUNTIMES = """
import sys
from pathlib import Path
from mzpipe.runtime.environment import prepare_environment
prepare_environment()
import mzpipe.cli.train, mzpipe.launch.join
from mzpipe.games import describe_game
from mzpipe.launch.rehearsal import describe_model, rehearse
from tests.tiny import tiny_profile
profile = tiny_profile("inference.runtime=torch", "inference.devices=['cpu']", "learner.devices=['cpu']")
game = describe_game(profile.game)
prepared = describe_model(profile, game)
rehearse(profile, game, prepared.devices, prepared.model, Path({directory!r}))
print(sorted({{"onnx", "onnxruntime", "openvino", "ale_py"}} & sys.modules.keys()))
"""


@pytest.mark.parametrize("consistency", ["false", "true"])
def test_prepared_names_the_state_that_is_published_without_training_heads(tmp_path, consistency):
    profile = tiny_profile(f"network.consistency={consistency}")
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    flat = FlatWeights(Model(profile.network, game.observation_shape, game.num_actions))
    assert prepared.model.state == flat.fields and prepared.model.weights == 4 * flat.size
    (tmp_path / RESULT_FILE).write_text(json.dumps(dataclasses.asdict(prepared)))
    assert read_prepared(tmp_path) == prepared


def test_rehearsal_takes_every_role_through_a_run_with_codes_of_chance(tmp_path):
    """Actors, reanalyzers and the evaluator search, the learner trains and saves, the server answers codes."""
    profile = tiny_profile("network.chance_codes=3", "reanalyze.fraction=0.5")
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    rehearsal.rehearse(profile, game, prepared.devices, prepared.model, tmp_path)


def test_rehearsal_ends_with_75_and_a_line_when_the_device_is_full(tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has more to say.")

    (tmp_path / "tiny.toml").write_text("[stop]\nlearner_steps = 1\n")
    monkeypatch.setattr(rehearsal, "follow_supervisor", lambda *arguments: None)
    monkeypatch.setattr(rehearsal, "rehearse", full)
    assert rehearsal.main(str(tmp_path / "tiny.toml"), str(tmp_path), "1") == 75
    said = capsys.readouterr().err
    assert said.startswith("CUDA out of memory. Tried to allocate 20.00 MiB: lower learner.batch_size")
    assert said.count("\n") == 1 and not (tmp_path / RESULT_FILE).exists()


def test_prepared_says_first_that_auto_found_a_gpu_which_it_cannot_use(monkeypatch):
    monkeypatch.setattr("mzpipe.nets.unusable_gpu", lambda: "this machine shows a GPU")
    for devices, said in (("auto", ["devices   this machine shows a GPU"]), ("cpu", [])):
        profile = tiny_profile(f"inference.devices=['{devices}']", "learner.devices=['cpu']")
        *first, model = describe_model(profile, describe_game(profile.game)).lines()
        assert first == said and model.startswith("model     ")


def test_prepared_holds_memory_and_uuid_of_each_gpu_that_the_run_uses(tmp_path, monkeypatch):
    monkeypatch.setattr("mzpipe.nets.resolve_devices", lambda names: ["cuda:1", "cuda:0"])
    monkeypatch.setattr("mzpipe.nets.device_memory", {"cuda:0": 10, "cuda:1": 11}.get)
    monkeypatch.setattr("mzpipe.nets.device_uuid", {"cuda:0": "GPU-7", "cuda:1": ""}.get)
    profile = tiny_profile("learner.devices=['cpu']")
    prepared = describe_model(profile, describe_game(profile.game))
    write_prepared(tmp_path, prepared)
    devices = read_prepared(tmp_path).devices
    assert devices.memory == {"cuda:0": 10, "cuda:1": 11}
    assert devices.uuids == {"cuda:0": "GPU-7"}


@pytest.mark.slow
def test_pipeline_of_cartpole_in_torch_loads_no_runtime_for_cpus_and_no_emulator(tmp_path):
    code = _WITHOUT_CPU_RUNTIMES.format(directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize(
    ("names", "num_gpus", "lacks"),
    [(("cpu",), 0, False), (("cuda:0",), 1, True), (("cuda:0",), 2, False), (("cuda:0", "cuda:1"), 2, True)],
)
@pytest.mark.parametrize("role", ["learner", "inference"])
def test_a_role_lacks_a_device_where_every_gpu_has_one_of_its_processes(tmp_path, role, names, num_gpus, lacks):
    profile = tiny_profile()
    prepared = describe_model(profile, describe_game(profile.game))
    write_prepared(tmp_path, dataclasses.replace(prepared, **{f"{role}_devices": names}, num_gpus=num_gpus))
    assert lacking_devices(tmp_path) == ({role} if lacks else set())
    (tmp_path / RESULT_FILE).unlink()
    assert lacking_devices(tmp_path) == set()


def test_rehearsal_ends_with_74_and_a_line_when_there_is_no_room_for_kernels(tmp_path, monkeypatch, capsys):
    """Numba writes kernels to a file that its error does not name."""

    def compile_kernels(profile, directory):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rehearsal, "follow_supervisor", lambda directory, parent_pid: None)
    monkeypatch.setattr(rehearsal, "_prepare", compile_kernels)
    save_profile(tiny_profile(), tmp_path / "profile.toml")
    assert rehearsal.main(str(tmp_path / "profile.toml"), str(tmp_path), "1") == 74
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rehearsal: [Errno 28] No space left on device: make room in ")
