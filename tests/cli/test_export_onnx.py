"""`mzpipe export --onnx`: the files, the weights in them, and what is refused."""

import errno
import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from mzpipe.cli.main import main
from mzpipe.nets import Model, numpy_state
from mzpipe.runs.checkpoint import BEST, LATEST, Checkpoint, CheckpointStore
from mzpipe.runs.directory import save_profile
from tests.tiny import observations, tiny_profile
from tests.unchecked import save_unchecked

FILES = ["dynamics.onnx", "model.json", "prediction.onnx", "representation.onnx"]


def save(run, name, pointer, steps):
    """Saves a new model as a checkpoint; returns the model."""
    torch.manual_seed(steps)
    model = Model(tiny_profile().network, (4,), 2)
    state = {"learner_steps": steps, "env_steps": 10 * steps, "weights_version": steps + 1}
    CheckpointStore(run / "checkpoints").save(name, Checkpoint(numpy_state(model), {}, state), pointer=pointer)
    return model.eval()


@pytest.fixture
def run(tmp_path):
    """A run that has saved nothing."""
    (tmp_path / "run").mkdir()
    save_profile(tiny_profile(), tmp_path / "run" / "profile.toml")
    return tmp_path / "run"


@pytest.fixture
def trained(run):
    """A run with a latest checkpoint."""
    save(run, "step_00000030", LATEST, 30)
    return run


@pytest.fixture
def refused(capsys):
    """Runs an export that is refused; returns the one line that it prints."""

    def export(code, *words):
        assert main(["export", *map(str, words)]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return line.removeprefix("mzpipe export: ")

    return export


def index_of(directory):
    return json.loads((directory / "model.json").read_text())


def test_export_writes_three_files_and_says_what_they_are(trained, capsys):
    assert main(["export", "--onnx", str(trained)]) == 0
    assert sorted(path.name for path in (trained / "onnx").iterdir()) == FILES
    index = index_of(trained / "onnx")
    functions = index.pop("functions")
    assert index.pop("description").startswith("CartPole-v1")
    assert index == {
        "format": "mzpipe-onnx-1",
        "game": "CartPole-v1",
        "frame_shape": [4],
        "frame_dtype": "float32",
        "frame_stack": 1,
        "num_actions": 2,
        "num_players": 1,
        "discount": tiny_profile().search.discount,
        "checkpoint": "step_00000030",
        "weights_version": 31,
        "learner_steps": 30,
        "env_steps": 300,
    }
    assert functions["dynamics"] == {
        "file": "dynamics.onnx",
        "inputs": {
            "hidden_state": {"dtype": "float32", "shape": ["batch", 8]},
            "action": {"dtype": "int64", "shape": ["batch"]},
        },
        "outputs": {
            "reward": {"dtype": "float32", "shape": ["batch"]},
            "next_hidden_state": {"dtype": "float32", "shape": ["batch", 8]},
        },
    }
    assert list(functions) == ["representation", "dynamics", "prediction"]
    assert capsys.readouterr().out == (
        f"step_00000030 of CartPole-v1, 30 learner steps: representation, dynamics and prediction in {trained / 'onnx'}"
        f"   (names and shapes: {trained / 'onnx' / 'model.json'})\n"
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [([], "best_00000020"), (["--checkpoint", "latest"], "step_00000030"), (["--checkpoint", "step_00000010"], None)],
)
def test_export_takes_the_weights_of_the_named_checkpoint_or_of_the_best(trained, tmp_path, words, name):
    models = {
        each: save(trained, each, pointer, steps)
        for each, pointer, steps in (
            ("step_00000010", LATEST, 10),
            ("best_00000020", BEST, 20),
            ("step_00000030", LATEST, 30),
        )
    }
    name = name or words[-1]
    out = tmp_path / "a" / "b"
    assert main(["export", "--onnx", str(trained), "--to", str(out), *words]) == 0
    assert index_of(out)["checkpoint"] == name
    session = onnxruntime.InferenceSession(out / "representation.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"observation": observations(5)})
    with torch.no_grad():
        expected = models[name].represent(torch.from_numpy(observations(5)))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_export_refuses_a_run_without_checkpoints(run, refused):
    line = refused(74, "--onnx", run)
    assert line == f"{run / 'checkpoints'}: the run has saved no checkpoint yet"
    assert not (run / "onnx").exists()


def test_export_refuses_a_checkpoint_that_is_not_there(trained, refused):
    line = refused(74, "--onnx", trained, "--checkpoint", "best")
    assert line == f"{trained / 'checkpoints' / 'best'}: no such checkpoint; there are: step_00000030"


def test_export_refuses_a_checkpoint_that_is_not_finite(trained, refused):
    store = CheckpointStore(trained / "checkpoints")
    loaded = store.load(LATEST)
    loaded.weights["prediction.value.bias"][0] = np.nan
    save_unchecked(store, "step_00000030", loaded, pointer=LATEST)
    line = refused(74, "--onnx", trained)
    assert line.endswith("step_00000030: cannot be used: prediction.value.bias in weights.safetensors is not finite")
    assert not (trained / "onnx").exists()


def test_export_refuses_a_target_that_exists_and_leaves_it_alone(trained, refused):
    (trained / "onnx").mkdir()
    line = refused(2, "--onnx", trained)
    assert line == f"{trained / 'onnx'}: exists already: remove it, or name another directory with --to"
    assert list((trained / "onnx").iterdir()) == []


def test_export_refuses_a_target_that_cannot_be_written(trained, tmp_path, refused):
    (tmp_path / "file").touch()
    line = refused(74, "--onnx", trained, "--to", tmp_path / "file" / "onnx")
    assert line == f"{tmp_path / 'file' / 'onnx'}: cannot be written: Not a directory"


def test_export_leaves_nothing_when_the_disk_is_full(trained, tmp_path, refused, monkeypatch):
    def fail(draft, out):
        assert sorted(path.name for path in draft.iterdir()) == FILES
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.rename", fail)
    (tmp_path / "to").mkdir()
    line = refused(74, "--onnx", trained, "--to", tmp_path / "to" / "onnx")
    assert line == f"{tmp_path / 'to' / 'onnx'}: cannot be written: No space left on device"
    assert list((tmp_path / "to").iterdir()) == []


def test_export_refuses_a_checkpoint_for_trajectories(trained, refused):
    assert refused(2, trained, "--checkpoint", "best") == (
        "--checkpoint: trajectories belong to no checkpoint: add --onnx, or leave it out"
    )


def test_export_of_trajectories_loads_no_torch():
    code = "import sys, mzpipe.cli.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
