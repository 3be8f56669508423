"""checkpoints/best: the file that saving the model itself would write, written without torch."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from mzpipe.evaluator.best import BestCheckpoint
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.weights import PulledWeights, WeightsSubscriber
from mzpipe.nets import numpy_state
from mzpipe.runs import attempts
from mzpipe.runs.checkpoint import BEST, Checkpoint, CheckpointStore
from mzpipe.runs.directory import save_profile
from mzpipe.runtime.attended import AttendedClock
from tests.launch.fakes import Clock
from tests.tiny import make_plane, publish, random_model, tiny_profile
from tests.unchecked import save_unchecked

BOARD = ("game.name=tic_tac_toe", "network.kind=residual", "network.downsample=none", "network.num_channels=4")


@pytest.mark.parametrize(
    "overrides",
    [(), BOARD, (*BOARD, "network.value_prefix=true", "network.consistency=true"), ("network.heads=scalar",)],
    ids=["mlp", "residual", "value prefix and consistency", "scalar heads"],
)
def test_best_is_to_the_byte_what_the_examined_model_would_be_saved_as(tmp_path, overrides):
    profile = tiny_profile(*overrides)
    plane = make_plane(tmp_path, profile)
    model = random_model(profile, plane, 3)
    publish(plane, model)
    pulled = WeightsSubscriber(plane.weights()).pull()
    checkpoints = tmp_path / "checkpoints"
    assert BestCheckpoint(profile, DataPlane.attach(tmp_path).shape, checkpoints).offer(pulled, 1.0)
    name = CheckpointStore(checkpoints).resolve(BEST)
    assert (checkpoints / name / "weights.safetensors").read_bytes() == save_tensors(numpy_state(model))


def test_best_is_never_one_whose_return_is_not_a_number(tmp_path):
    best = make_best(tmp_path)
    pulled = PulledWeights(1, 2, 3, np.zeros(3, np.float32))
    assert [best.offer(pulled, mean) for mean in (float("nan"), 1.0, float("nan"), 0.0)] == [False, True, False, False]


def remove_directory(store):
    store.remove("best_00000007")


def damage_weights(store):
    (store.directory / "best_00000007" / "weights.safetensors").write_bytes(b"damaged")


def point_at_a_step(store):
    state = {"env_steps": 1, "learner_steps": 9, "weights_version": 1}
    store.save("step_00000009", Checkpoint({"weight": np.zeros(3, np.float32)}, {}, state), pointer=BEST)


def forge_return(store):
    best = store.load(BEST)
    save_unchecked(store, "best_00000007", best._replace(state={**best.state, "return_mean": "5"}), pointer=BEST)


def dangle(store):
    (store.directory / BEST).unlink()
    (store.directory / BEST).symlink_to("nowhere")


def make_a_directory(store):
    (store.directory / BEST).unlink()
    (store.directory / BEST).mkdir()


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (remove_directory, "best: names 'best_00000007', which does not exist"),
        (damage_weights, "weights.safetensors: damaged: SHA-256 does not match"),
        (point_at_a_step, "best: names step_00000009, which no evaluation has saved"),
        (forge_return, "damaged checkpoint: its return_mean is '5', not a number"),
        (lambda store: (store.directory / BEST).write_text(""), "best: empty"),
        (dangle, "best: leads to no file"),
        (make_a_directory, "best: a directory"),
    ],
)
def test_best_is_replaced_by_the_next_evaluation_when_it_is_damaged(tmp_path, harm, fault):
    store, notes = CheckpointStore(tmp_path), []
    make_best(tmp_path).offer(PulledWeights(1, 7, 3, np.zeros(3, np.float32)), 5.0)
    harm(store)
    steps = store.step_names()
    best = make_best(tmp_path, notes.append)
    (line,) = notes
    assert fault in line and line.endswith(": the next evaluation replaces the best checkpoint")
    assert best.offer(PulledWeights(2, 8, 3, np.zeros(3, np.float32)), 4.0)
    assert store.load(BEST).state["return_mean"] == 4.0
    assert store.step_names() == steps
    make_best(tmp_path, notes.append)
    assert len(notes) == 1


def make_best(directory, note=lambda line: None):
    shape = SimpleNamespace(model_state=(("weight", "float32", (3,)),))
    return BestCheckpoint(tiny_profile(), shape, directory, note)


def test_best_weights_that_cannot_be_saved_are_kept_until_they_can(tmp_path, monkeypatch):
    clock, notes = Clock(), []
    best = make_best(tmp_path / "checkpoints", notes.append)
    monkeypatch.setattr(best._saves, "_clock", AttendedClock(clock=clock.monotonic))
    (tmp_path / "checkpoints").touch()  # no directory can be made there
    for n in (1, 2):
        assert best.offer(PulledWeights(n, n, n, np.full(3, n, np.float32)), float(n))
    (tmp_path / "checkpoints").unlink()
    assert not best.is_due
    clock.now_s += attempts.RETRY_S
    assert best.is_due
    best.save_kept()
    saved = CheckpointStore(tmp_path / "checkpoints").load(BEST)
    assert (saved.state["return_mean"], saved.weights["weight"].tolist()) == (2.0, [2.0, 2.0, 2.0])
    assert len(notes) == 2 and notes[1] == "best checkpoints are written again"


EVALUATOR_ROLE = """
import sys
from pathlib import Path
from mzpipe.config import load_profile
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsSubscriber
from mzpipe.launch.roles import make_agent
from mzpipe.runtime.context import RoleContext, Storage

path = Path(sys.argv[1])
profile, plane = load_profile(path / "profile.toml"), DataPlane.attach(path)
storage = Storage(path / "checkpoints", path / "journal", path)
context = RoleContext(profile, plane, Member("evaluator", 0), storage, "cpu", LocalPort())
evaluator = make_agent(context)
evaluator.on_start()
evaluator.do_work()
assert evaluator._best.offer(WeightsSubscriber(plane.weights()).pull(), 1.0)
evaluator.on_close()
sys.exit(100 if "torch" in sys.modules else 0)
"""


def test_evaluator_starts_and_saves_the_best_without_torch(tmp_path):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    save_profile(profile, tmp_path / "profile.toml")
    assert subprocess.run([sys.executable, "-c", EVALUATOR_ROLE, str(tmp_path)], timeout=120).returncode == 0
    assert CheckpointStore(tmp_path / "checkpoints").has(BEST)
