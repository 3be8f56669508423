"""Weights to begin with: where they are read from, what of them is taken, and what is refused."""

import os
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from mzpipe.errors import CheckpointError, ConfigError, InputOutputError
from mzpipe.ipc.diagnostics import TRAINING_PARTS
from mzpipe.ipc.layout import Field
from mzpipe.nets import Model
from mzpipe.nets.model import TrainingParts, training_only_names
from mzpipe.runs import initial as module
from mzpipe.runs.checkpoint import BEST, LATEST, Checkpoint, CheckpointStore
from mzpipe.runs.initial import Source, read_source, take
from tests.drills.mutations.forged import _BAD_TENSORS
from tests.tiny import tiny_profile

SHAPES = {
    "representation.layers.weight": (4, 3),
    "representation.layers.running_mean": (4,),
    "dynamics.action.weight": (2, 4),
    "dynamics.state.weight": (4, 4),
    "prediction.policy.weight": (2, 4),
    "prediction.value.weight": (5, 4),
    "mean_image": (3,),
    "consistency.projector.weight": (6, 4),
}
MODEL = [Field(name, "float32", shape) for name, shape in SHAPES.items()]


def weights(**shapes):
    """Tensors of the model's shapes, or of others; None leaves one out."""
    wanted = {**SHAPES, **{name.replace("__", "."): shape for name, shape in shapes.items()}}
    return {name: np.full(shape, 7, np.float32) for name, shape in wanted.items() if shape is not None}


def took(source, *parts, is_same_game=True):
    return take(Source("there", source, "Pong"), parts, MODEL, is_same_game=is_same_game)


def test_take_takes_every_tensor_when_all_fit():
    initial = took(weights())
    assert initial.weights.keys() == SHAPES.keys()
    assert initial.line == "weights   from there (Pong): 8 of 8 tensors, 95 of 95 numbers"
    assert initial.nbytes == 4 * 95


def test_take_leaves_the_mean_image_of_another_game_and_says_so():
    initial = took(weights(), is_same_game=False)
    assert initial.weights.keys() == SHAPES.keys() - {"mean_image"}
    assert initial.line.endswith("7 of 8 tensors, 92 of 95 numbers; new: mean_image; left out: mean_image")
    assert "mean_image" not in took(weights(), "mean_image", "dynamics", is_same_game=False).weights


@pytest.mark.parametrize("shape", [None, (9, 9)])
def test_take_makes_the_consistency_new_when_it_is_missing_or_another(shape):
    initial = took(weights(consistency__projector__weight=shape))
    assert initial.weights.keys() == {name for name in SHAPES if not name.startswith("consistency")}
    assert "; new: consistency" in initial.line
    with pytest.raises(CheckpointError, match=r"consistency.projector.weight is .* there, the profile's model has"):
        took(weights(consistency__projector__weight=shape), "consistency")


def test_take_refuses_all_for_another_number_of_actions_and_names_the_parts_that_fit():
    other = weights(dynamics__action__weight=(6, 4), prediction__policy__weight=(6, 4))
    with pytest.raises(CheckpointError) as refused:
        took(other)
    assert str(refused.value) == (
        "learner.init_from: dynamics.action.weight is float32 (6, 4) in there, the profile's model has float32 (2, 4) "
        "(the first of 2 tensors that do not fit): take the parts that do: "
        'learner.init_parts=["representation", "dynamics.state", "prediction.value", "consistency"]'
    )
    parts = re.findall(r'"([^"]+)"', str(refused.value))
    assert took(other, *parts).line.endswith(
        "5 of 8 tensors, 76 of 95 numbers; new: dynamics (1 of 2), prediction (1 of 2), mean_image; "
        "left out: dynamics (1 of 2), prediction (1 of 2), mean_image"
    )


@pytest.mark.parametrize("name", ["representation.layers.weight", "representation.more"])
def test_take_refuses_a_part_that_is_not_the_same_tensor_by_tensor(name):
    shapes = {"representation.layers.weight": None} if name in SHAPES else {name: (1,)}
    with pytest.raises(CheckpointError, match=f"{name} is .* there, the profile's model has .*first of 1 tensors"):
        took(weights(**shapes), "representation")
    assert "dynamics.state.weight" in took(weights(**shapes), "dynamics").weights


def test_take_refuses_another_type_of_numbers():
    other = {name: array.astype(np.float16) for name, array in weights().items()}
    with pytest.raises(CheckpointError, match=r"is float16 \(4, 3\) in there.*: no part of the two is alike: give the"):
        took(other)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("representatoin", "; did you mean representation?"),
        ("dynamics.", "; did you mean dynamics?"),
        ("dyn", "; did you mean dynamics?"),
        ("", "; known here: representation, representation.layers, dynamics, "),
    ],
)
def test_take_refuses_a_part_that_the_model_lacks_and_names_the_nearest(part, text):
    with pytest.raises(ConfigError, match=re.escape(f"learner.init_parts: {part!r} is no part of the profile's model")):
        took(weights(), part)
    with pytest.raises(ConfigError, match=re.escape(text)):
        took(weights(), part)


def test_lines_of_strange_names_are_short_and_printable():
    strange = {f"\x1b[31m{number}{'x' * 99}": np.zeros(1, np.float32) for number in range(99)}
    initial = took({**weights(), **strange}, "dynamics")
    assert initial.line.isprintable() and len(initial.line) < 600
    with pytest.raises(CheckpointError) as refused:
        took(strange)
    assert len(str(refused.value)) < 400


def test_the_parts_that_may_be_new_are_those_that_only_the_learner_has():
    network = tiny_profile("network.consistency=true", "network.reconstruction=true", "network.chance_codes=4").network
    model = Model(network, (4,), 2, training_heads=True)
    assert {name.partition(".")[0] for name in training_only_names(model)} == set(TRAINING_PARTS)
    assert TrainingParts._fields == TRAINING_PARTS


@pytest.fixture
def run(tmp_path):
    """A run with a best checkpoint of step 1 and a latest one of step 2."""
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    for steps, pointer in ((1, BEST), (2, LATEST)):
        state = {"env_steps": 1, "learner_steps": steps, "weights_version": 1, "game": "Pong"}
        checkpoint = Checkpoint({"weight": np.full(3, steps, np.float32)}, {}, state)
        store.save(f"step_{steps:08d}", checkpoint, pointer=pointer)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("place", "steps"),
    [
        ("", 1),
        ("checkpoints/best", 1),
        ("checkpoints/latest", 2),
        ("checkpoints/step_00000002", 2),
        ("checkpoints/step_00000002/", 2),
    ],
)
def test_source_is_the_best_checkpoint_of_a_run_or_the_one_that_is_named(run, place, steps):
    source = read_source(f"{run}/{place}")
    assert source.weights["weight"].tolist() == [steps] * 3
    assert (source.game, source.path) == ("Pong", f"{run}/checkpoints/step_{steps:08d}")


def test_source_may_be_a_trained_run_that_comes_with_mzpipe():
    source = read_source("cartpole")
    assert source.game == "CartPole-v1" and "releases/cartpole/checkpoints/best_" in source.path
    with pytest.raises(ConfigError, match=r"'cartpol': no such file or directory; did you mean cartpole\?: name a run"):
        read_source("cartpol")


def test_source_is_the_latest_checkpoint_of_a_run_without_a_best_one(run):
    (run / "checkpoints" / BEST).unlink()
    assert read_source(str(run)).weights["weight"].tolist() == [2, 2, 2]


def test_source_is_the_working_directory_when_it_is_a_checkpoint(run, monkeypatch):
    monkeypatch.chdir(run / "checkpoints" / "step_00000002")
    assert read_source(".").weights["weight"].tolist() == [2, 2, 2]


def test_source_is_a_safetensors_file_of_no_known_game(tmp_path):
    save_file({"weight": np.ones(2, np.float32)}, tmp_path / "model.safetensors")
    source = read_source(str(tmp_path / "model.safetensors"))
    assert (source.weights["weight"].tolist(), source.game) == ([1.0, 1.0], None)


def empty_run(path):
    (path / "checkpoints").mkdir(parents=True)


NOTHING = {
    "missing": (lambda path: None, "no such file or directory: name a run's directory"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "no such file or directory: name a run's directory"),
    "another directory": (lambda path: path.mkdir(), "no weights lie here: name a run's directory"),
    "another file": (lambda path: path.touch(), "no weights lie here: name a run's directory"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_source_is_refused_when_it_holds_no_weights(tmp_path, case):
    make, text = NOTHING[case]
    make(tmp_path / "other")
    with pytest.raises(ConfigError, match=f"^learner.init_from='{tmp_path}/other': {text}"):
        read_source(f"{tmp_path}/other")


@pytest.mark.parametrize("text", ["x" * 5000, "\0"])
def test_source_is_refused_when_no_file_can_have_its_name(text):
    with pytest.raises(ConfigError, match="no such file or directory"):
        read_source(text)


def test_source_is_refused_when_the_run_has_no_checkpoint(tmp_path):
    empty_run(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"^learner.init_from: .*checkpoints: the run has saved no checkpoint ye"):
        read_source(str(tmp_path / "run"))


@pytest.mark.parametrize("name", ["weights.safetensors", "state.msgpack", "manifest.json"])
def test_source_is_refused_when_its_checkpoint_is_damaged(run, name):
    path = run / "checkpoints" / "step_00000001" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"^learner.init_from: .*step_00000001.*damaged"):
        read_source(str(run))


@pytest.mark.parametrize("kind", _BAD_TENSORS)
def test_source_is_refused_when_its_file_is_forged(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    path.write_bytes(_BAD_TENSORS[kind])
    with pytest.raises(CheckpointError, match=f"^learner.init_from: {path}: cannot be read: "):
        read_source(str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_source_is_refused_when_it_is_not_finite(tmp_path, value):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(2, np.float32), "b": np.array([1, value], np.float32)}, path)
    with pytest.raises(CheckpointError, match=f"{path}: cannot be used: b in model.safetensors is not finite"):
        read_source(str(path))


def test_source_is_refused_when_numpy_has_no_such_numbers(tmp_path):
    path, header = tmp_path / "model.safetensors", b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointError, match="numpy has no type 'BF16': save its tensors as float32"):
        read_source(str(path))


def test_source_is_refused_when_it_is_a_pipe_or_a_directory(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    for name, kind in (("pipe", "a pipe"), ("folder", "a directory")):
        with pytest.raises(CheckpointError, match=f"{name}.safetensors: {kind}, where a file should be"):
            read_source(f"{tmp_path}/{name}.safetensors")


def test_initial_is_read_as_it_was_written_until_it_is_discarded(tmp_path):
    written = took(weights())
    module.write_initial(tmp_path, written)
    read = module.read_initial(tmp_path)
    assert read.keys() == written.weights.keys()
    assert all(np.array_equal(read[name], written.weights[name]) for name in read)
    module.discard_initial(tmp_path)
    module.discard_initial(tmp_path)
    assert module.read_initial(tmp_path) == {}
    with pytest.raises(InputOutputError, match=r"cannot write .*initial.safetensors: No such file"):
        module.write_initial(tmp_path / "nowhere", written)
