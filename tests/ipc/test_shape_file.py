"""shape.json of a run that may be a stranger's: whatever stands in it, a process that joins reads it or says a line."""

import json
import os

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.ipc.dataplane import SHAPE_FILE, DataPlane
from tests.tiny import make_plane, tiny_profile


@pytest.fixture(scope="module")
def shape(tmp_path_factory):
    directory = tmp_path_factory.mktemp("plane")
    make_plane(directory, tiny_profile("topology.actors=2"))
    return json.loads((directory / SHAPE_FILE).read_text())


NUMBERS = [-1, None, "2", 1.5, True, [], 1 << 41, 10**30, float("nan"), float("inf")]
FORGED = [
    *[(name, value) for name in ("actors", "lanes_per_actor", "trees_per_lane", "weights_bytes") for value in NUMBERS],
    *[(name, 0) for name in ("learner_ranks", "inference_servers", "num_actions", "batch_size")],
    *[(name, 10**9) for name in ("actors", "reanalyzers", "learner_ranks", "inference_servers", "lanes_per_actor")],
    *[("frame_shape", value) for value in (None, 4, "ab", [-1], [1.5], ["x"], [1 << 50], [[1]], {"a": 1})],
    *[("frame_dtype", value) for value in (None, 5, "", "object", "O", "nonsense", "U8", "(2,)i4", "x" * 10_000)],
    *[("model_state", value) for value in (None, 7, [1], [["w"]], [["w", "f4", [-1]]], [["w", "O", [1]]], [[1, 2, 3]])],
    ("next_observations", 1),
]


@pytest.mark.parametrize(("name", "value"), FORGED, ids=lambda value: f"{value!r:.24}")
def test_attach_refuses_a_forged_shape_in_one_line(tmp_path, shape, name, value):
    check_refused(tmp_path, json.dumps({**shape, name: value}))


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{", '{"actors": 1}', "[" * 50_000, "\x00" * 100])
def test_attach_refuses_what_is_no_shape_in_one_line(tmp_path, text):
    check_refused(tmp_path, text)


def test_attach_refuses_a_pipe_and_a_file_without_an_end(tmp_path):
    path = tmp_path / SHAPE_FILE
    os.mkfifo(path)
    refuse(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    refuse(tmp_path)


def test_attach_takes_a_shape_that_a_run_could_have_and_other_segments_for_damage(tmp_path, shape):
    make_plane(tmp_path, tiny_profile("topology.actors=2"))
    (tmp_path / SHAPE_FILE).write_text(json.dumps({**shape, "reanalyzers": 900, "trajectory_ring_slots": 1 << 40}))
    plane = DataPlane.attach(tmp_path)
    for attach in (plane.read_stages, lambda: plane.trajectory_ring(0)):
        with pytest.raises(InputOutputError, match="bytes, expected"):
            attach()


def check_refused(directory, text):
    (directory / SHAPE_FILE).write_text(text)
    refuse(directory)


def refuse(directory):
    with pytest.raises(InputOutputError, match="no run to join") as caught:
        DataPlane.attach(directory)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400 + len(str(directory))
