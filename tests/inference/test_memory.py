"""What a server's process keeps of the weights versions that it has loaded, and what the plan says that it needs."""

import json
import subprocess
import sys

import pytest

from mzpipe.games import describe_game
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.plan import make_plan
from mzpipe.launch.rehearsal import describe_model
from mzpipe.runs.directory import save_profile
from tests.tiny import publish, random_model, tiny_profile

# A run of this many versions keeps less than one model. As many are loaded as take a few seconds; libc counts the bytes
# that they keep, so that small leaks show as well.
PROMISED, LOADED = 5_000, {"torch": 300, "onnxruntime": 200, "openvino": 60}
# How far the process's private memory may be above, or below, the plan's figure.
ABOVE, BELOW = 1.25, 0.75


def measure(home, runtime, leak=0.0):
    """(bytes of one model, the planned bytes, what the process holds) of a server with a model of 4 MB."""
    profile = tiny_profile(f"inference.runtime={runtime}", "network.hidden_size=512", "inference.precision=float32")
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    plan = make_plan(profile, game, prepared.devices, prepared.model)
    save_profile(profile, home / "profile.toml")
    plane = DataPlane.create(home, plan.shape)
    publish(plane, random_model(profile, plane, 0))
    words = [sys.executable, "-m", "tests.inference.memory_child", home, str(LOADED[runtime]), str(leak)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return prepared.model.weights, plan.needs(Member(Role.INFERENCE, 0)).host, json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", LOADED)
def test_server_keeps_less_than_one_model_of_five_thousand_versions_and_needs_what_the_plan_says(shm_path, runtime):
    model, planned, held = measure(shm_path, runtime)
    assert held["kept"] / LOADED[runtime] < model / PROMISED
    assert held["grown"] < model
    assert BELOW * planned < held["private"] < ABOVE * planned


@pytest.mark.slow
def test_server_that_keeps_a_thousandth_of_each_version_would_be_found(shm_path):
    model, _, held = measure(shm_path, "torch", leak=1 / 1000)
    assert held["kept"] / LOADED["torch"] > model / PROMISED


@pytest.mark.slow
def test_server_whose_pages_grow_by_a_hundredth_of_each_version_would_be_found(shm_path):
    model, _, held = measure(shm_path, "torch", leak=1 / 100)
    assert held["grown"] > model
