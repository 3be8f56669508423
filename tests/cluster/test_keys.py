"""Keys of a run and its pods: made once, private, and refused in one line when they are not."""

import json
import stat

import pytest

from mzpipe.cluster.keys import (
    new_head_keys,
    new_pod_key,
    pod_key_path,
    read_head_keys,
    read_key,
    read_placed,
    run_keys,
    write_key,
    write_placed,
)
from mzpipe.errors import UsageError


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "pod.json"
    write_key(path, new_pod_key(3, new_head_keys().public))
    return path


def test_a_pods_key_comes_back_as_it_was_written(tmp_path):
    key = new_pod_key(7, new_head_keys().public)
    write_key(tmp_path / "key", key)
    assert read_key(tmp_path / "key") == key


def test_a_run_keeps_its_keys_and_makes_those_of_further_pods(tmp_path):
    first = run_keys(tmp_path, 1)
    again = run_keys(tmp_path, 3)
    assert (again.public, again.secret, again.pods[:1]) == (first.public, first.secret, first.pods)
    assert [read_key(pod_key_path(tmp_path, pod)).public for pod in range(3)] == list(again.pods)
    assert run_keys(tmp_path, 2) == again == read_head_keys(tmp_path)


def test_nobody_else_can_read_a_key(tmp_path):
    run_keys(tmp_path, 2)
    folder = tmp_path / "cluster"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_secret_is_not_in_the_words_of_a_key():
    head = new_head_keys()
    key = new_pod_key(0, head.public)
    assert key.secret not in repr(key)
    assert head.secret not in repr(head)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(UsageError, match=f"mode {mode:04o}.*chmod 600"):
        read_key(key_file)


def test_a_missing_key_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_key(tmp_path / "none")


def test_a_folder_is_no_key(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(UsageError, match="a directory, where a file should be: not a pod's key"):
        read_key(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": 2}, "not a pod's key of this version"),
        ({"pod": -1}, "not a pod's key of this version"),
        ({"pod": True}, "not a pod's key of this version"),
        ({"secret": "short"}, "secret is not a key of CurveZMQ"),
        ({"public": 5}, "public is not a key of CurveZMQ"),
        ({"head_public": "x" * 39 + "\n"}, "head_public is not a key of CurveZMQ"),
        ({"more": 1}, "other fields than"),
    ],
)
def test_a_changed_key_is_refused(key_file, change, message):
    fields = json.loads(key_file.read_text()) | change
    key_file.write_text(json.dumps(fields))
    with pytest.raises(UsageError, match=message) as caught:
        read_key(key_file)
    assert "\n" not in str(caught.value)
    assert fields["secret"] == "short" or fields["secret"] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "x" * (1 << 16)])
def test_what_is_no_key_is_refused(key_file, text):
    key_file.write_text(text)
    with pytest.raises(UsageError, match="not a pod's key"):
        read_key(key_file)


def test_keys_of_placed_pods_are_replaced_as_a_whole(tmp_path):
    run_keys(tmp_path, 1)
    assert read_placed(tmp_path) == {}
    first, second = (new_pod_key(pod, new_head_keys().public).public for pod in range(2))
    write_placed(tmp_path, {0: first, 1: first})
    write_placed(tmp_path, {0: first, 255: second})
    assert read_placed(tmp_path) == {0: first, 255: second}
    assert stat.S_IMODE((tmp_path / "cluster" / "placed.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "pods", [[], {"256": "x"}, {"-1": "x"}, {"0": "x"}, {"0": 5}, 7], ids=["list", "256", "-1", "short", "number", "7"]
)
def test_other_placed_keys_are_refused(tmp_path, pods):
    run_keys(tmp_path, 1)
    write_placed(tmp_path, {})
    (tmp_path / "cluster" / "placed.json").write_text(json.dumps({"placed": 1, "pods": pods}))
    with pytest.raises(UsageError, match=r"placed\.json: "):
        read_placed(tmp_path)
