"""Checkpoints: whole or not there, whatever fails on the way."""

import ctypes
import errno
import json
import os
from functools import partial

import numpy as np
import pytest

from mzpipe.errors import CheckpointError, NotFiniteError
from mzpipe.runs import checkpoint as module
from mzpipe.runs.checkpoint import Checkpoint, CheckpointStore, step_name
from tests.unchecked import save_unchecked

FILES = ("weights.safetensors", "optimizer.safetensors", "state.msgpack")


def checkpoint(value):
    weights = {"layer.weight": np.full((2, 3), value, np.float32), "count": np.array(value, np.int64)}
    state = {"env_steps": 10 * value, "learner_steps": value, "weights_version": 1}
    return Checkpoint(weights, {"0.exp_avg": np.full(4, value, np.float32)}, state)


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def save(store, value):
    return store.save(f"step_{value:08d}", checkpoint(value), pointer="latest")


def test_store_loads_what_it_saved(store):
    save(store, 3)
    loaded = store.load("latest")
    assert loaded.state == {"env_steps": 30, "learner_steps": 3, "weights_version": 1}
    np.testing.assert_array_equal(loaded.weights["layer.weight"], np.full((2, 3), 3.0))
    assert loaded.weights["count"].dtype == np.int64
    np.testing.assert_array_equal(loaded.optimizer["0.exp_avg"], np.full(4, 3.0))


def test_store_points_latest_at_the_newest_and_finds_others_by_name(store):
    for value in (1, 2, 3):
        save(store, value)
    assert store.resolve("latest") == "step_00000003"
    assert store.load("step_00000001").state["learner_steps"] == 1


def test_store_finds_a_checkpoint_by_its_learner_step(store):
    for value in (1, 20):
        save(store, value)
    assert store.resolve("20") == step_name(20) == "step_00000020"
    with pytest.raises(CheckpointError, match="step_00000003: no such checkpoint; there are: step_00000001, step_0000"):
        store.resolve("3")


def test_store_says_so_when_nothing_has_been_saved(store):
    for name in (None, "best", "7"):
        with pytest.raises(CheckpointError, match="checkpoints: the run has saved no checkpoint yet"):
            store.chosen(name)


def test_save_replaces_a_checkpoint_of_the_same_name(store):
    save(store, 1)
    store.save("step_00000001", checkpoint(9), pointer="latest")
    assert store.load("latest").state["learner_steps"] == 9
    assert sorted(os.listdir(store.directory)) == ["latest", "step_00000001"]


def test_prune_keeps_the_newest_and_the_best(store):
    for value in range(1, 6):
        save(store, value)
    store.save("best_00000002", checkpoint(2), pointer="best")
    beyond_any_pid = 2**22 + 1
    (store.directory / f".step_00000009.{beyond_any_pid}.new").mkdir()
    store.prune(keep=2)
    assert store.names() == ["best_00000002", "step_00000004", "step_00000005"]
    assert not list(store.directory.glob(".*"))


def test_prune_keeps_an_older_step_that_a_pointer_names(store):
    for value in range(1, 6):
        save(store, value)
    store.point("latest", step_name(2))  # as after a resume from an older one
    store.prune(keep=2)
    assert store.names() == ["step_00000002", "step_00000004", "step_00000005"]


def test_prune_keeps_multiples_except_the_untrained_one_and_leaves_what_only_begins_like_a_step(store):
    for value in (0, 2, 3, 4, 5):
        save(store, value)
    (store.directory / "step_00000003").rename(store.directory / "step_00000003.bak")
    store.prune(keep=1, keep_every=2)
    assert store.names() == ["step_00000002", "step_00000003.bak", "step_00000004", "step_00000005"]


def test_save_puts_a_directory_aside_that_has_the_pointers_name(store):
    (store.directory / "latest").mkdir(parents=True)
    (store.directory / "latest" / "kept").touch()
    save(store, 1)
    assert store.resolve("latest") == "step_00000001"
    assert (store.directory / "latest.directory" / "kept").is_file()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_load_names_the_file_when_it_is_damaged(store, name, damage):
    path = save(store, 1) / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[:-1] if damage == "cut" else data)
    if damage == "remove":
        path.unlink()
    with pytest.raises(CheckpointError, match=name):
        store.load("latest")


def test_load_refuses_a_damaged_manifest_and_a_missing_checkpoint(store):
    (save(store, 1) / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="step_00000001: damaged checkpoint"):
        store.load("latest")
    with pytest.raises(CheckpointError, match=r"nothing: no such checkpoint; there are: step_00000001"):
        store.load("nothing")
    (store.directory / "latest").write_text("step_00000077")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        store.load("latest")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("part", "tensor", "name"),
    [("weights", "layer.weight", "weights.safetensors"), ("optimizer", "0.exp_avg", "optimizer.safetensors")],
)
def test_what_is_not_finite_is_neither_saved_nor_loaded(store, part, tensor, name, bad):
    save(store, 1)
    before, spoilt = sorted(os.listdir(store.directory)), checkpoint(2)
    getattr(spoilt, part)[tensor].flat[-1] = bad
    with pytest.raises(NotFiniteError, match=f"^{tensor} in {name} is not finite$"):
        store.save("step_00000002", spoilt, pointer="latest")
    assert sorted(os.listdir(store.directory)) == before and store.resolve("latest") == "step_00000001"
    save_unchecked(store, "step_00000002", spoilt, pointer="latest")
    with pytest.raises(CheckpointError, match=f"step_00000002: cannot be used: {tensor} in {name} is not finite$"):
        store.load("latest")


STATES = [
    ("a list", [1, 2], r"its state is \[1, 2\], not a map"),
    ("nothing", None, "its state is None, not a map"),
    *(
        (f"{name} {value!r:.20}", {**checkpoint(2).state, name: value}, f"its {name} is .*, not a {kind}")
        for kind, names, values in [
            (
                "count",
                ("env_steps", "learner_steps", "weights_version"),
                [None, "x", "1", 1.0, True, -1, 2**63, [], {}],
            ),
            ("text", ("game", "protocol"), [None, 1, [], b"Pong", {}]),
            ("number", ("return_mean",), [None, "1.0", 1, True, float("nan"), [], "x" * 10_000]),
        ]
        for name in names
        for value in values
    ),
    *(
        (f"without {name}", {k: v for k, v in checkpoint(2).state.items() if k != name}, f"its {name} is None, not a c")
        for name in checkpoint(2).state
    ),
]


@pytest.mark.parametrize(("state", "fault"), [pytest.param(*row[1:], id=row[0]) for row in STATES])
def test_state_with_a_field_of_another_type_is_neither_saved_nor_loaded(store, state, fault):
    save(store, 1)
    forged = checkpoint(2)._replace(state=state)
    line = rf"step_00000002: damaged checkpoint: {fault}"
    with pytest.raises(CheckpointError, match=line):
        store.save("step_00000002", forged, pointer="latest")
    assert store.resolve("latest") == "step_00000001"
    save_unchecked(store, "step_00000002", forged, pointer="latest")
    with pytest.raises(CheckpointError, match=line) as caught:
        store.load("latest")
    assert len(str(caught.value)) < 200 + len(str(store.directory)) and "\n" not in str(caught.value)


def count_calls(monkeypatch, store):
    """Counts the calls of one save that can fail."""
    calls = []
    for name in ("fsync", "rename"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, original=original, name=name: (calls.append(name), original(*a))[1])
    save(store, 1)
    monkeypatch.undo()
    return len(calls)


class FailingCalls:
    """Lets `passes` calls through, then raises ENOSPC once."""

    def __init__(self, monkeypatch, passes):
        self.left = passes
        for name in ("fsync", "rename"):
            original = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *a, original=original: self.call(original, *a))

    def call(self, original, *arguments):
        self.left -= 1
        if self.left == -1:
            raise OSError(28, "No space left on device")
        return original(*arguments)


def test_latest_stays_loadable_when_a_save_fails_at_any_of_its_steps(store, monkeypatch):
    total = count_calls(monkeypatch, store)
    assert total >= 8  # four files, two directories, rename, pointer
    for failing in range(total):
        FailingCalls(monkeypatch, failing)
        with pytest.raises(CheckpointError, match="cannot be saved: No space left on device"):
            save(store, 100 + failing)
        monkeypatch.undo()
        loaded = store.load("latest")
        assert loaded.state["learner_steps"] in (1, 100 + failing)
        np.testing.assert_array_equal(loaded.weights["count"], loaded.state["learner_steps"])
        save(store, 1)


def test_save_syncs_every_file_and_their_directory_before_the_rename(store, monkeypatch):
    order = []
    rename, fsync = os.rename, os.fsync

    def logged_fsync(descriptor):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def logged_rename(source, target):
        order.append("RENAME")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged_rename)
    save(store, 1)
    assert set(order[:4]) == {*FILES, "manifest.json"}
    assert order[4].startswith(".step_00000001.") and order[5] == "RENAME"
    assert order[-1] == "checkpoints"


def test_prune_leaves_the_draft_of_another_living_process(store):
    save(store, 1)
    draft = store.directory / f".best_00000002.{os.getppid()}.new"
    draft.mkdir()
    store.prune(keep=1)
    assert draft.is_dir()


def test_prune_removes_drafts_of_no_process(store):
    """A pid beyond the largest possible one is no process, and neither is the name of a file in /proc."""
    save(store, 1)
    for name in (".best_00000002.99999999999999999999.new", ".meminfo.new"):
        (store.directory / name).mkdir()
    store.prune(keep=1)
    assert sorted(os.listdir(store.directory)) == ["latest", "step_00000001"]


def test_save_replaces_where_the_file_system_cannot_exchange_names(store, monkeypatch):
    class NoExchange:
        @staticmethod
        def renameat2(*arguments):
            ctypes.set_errno(errno.EINVAL)
            return -1

    save(store, 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: NoExchange())
    store.save("step_00000001", checkpoint(9), pointer="latest")
    assert store.load("latest").state["learner_steps"] == 9
    assert sorted(os.listdir(store.directory)) == ["latest", "step_00000001"]


class Replaced:
    """Replaces a checkpoint once, after it is looked up and before it is read."""

    def __init__(self, monkeypatch, owner, name, replace):
        self.original, self.replace, self.count = getattr(owner, name), replace, 0
        monkeypatch.setattr(owner, name, self)

    def __call__(self, *arguments):
        self.count += 1
        if self.count == 1:
            self.replace()
        return self.original(*arguments)


def test_load_finds_the_new_best_when_the_old_one_is_removed_during_the_load(store, monkeypatch):
    store.save("best_00000001", checkpoint(1), pointer="best")

    def replace():
        store.save("best_00000002", checkpoint(2), pointer="best")
        store.remove("best_00000001")

    reads = Replaced(monkeypatch, module, "_verified_files", replace)
    name, loaded = store.load_chosen(None)
    assert (name, loaded.state["learner_steps"], reads.count) == ("best_00000002", 2, 2)


def test_load_finds_the_new_checkpoint_of_the_same_name(store, monkeypatch):
    """Its manifest is the former one's, and its files are not."""
    save(store, 1)
    replace = partial(store.save, "step_00000001", checkpoint(2), pointer="latest")
    reads = Replaced(monkeypatch, json, "loads", replace)
    assert store.load("latest").state["learner_steps"] == 2
    assert reads.count == 2


def test_resolve_follows_a_pointer_that_moves_while_it_is_read(store, monkeypatch):
    for value in (1, 2):
        save(store, value)
    pointed = iter(["step_00000000", "step_00000002"])
    monkeypatch.setattr(store, "_pointed", lambda pointer: next(pointed))
    assert store.resolve("latest") == "step_00000002"


def test_load_raises_at_once_when_a_damaged_checkpoint_is_not_replaced(store, monkeypatch):
    path = save(store, 1)
    (path / "state.msgpack").write_bytes(b"")
    reads = Replaced(monkeypatch, module, "_verified_files", lambda: None)
    with pytest.raises(CheckpointError, match="damaged"):
        store.load("latest")
    assert reads.count == 1


@pytest.mark.parametrize("make", [os.mkdir, partial(os.symlink, "nowhere")], ids=["directory", "link"])
def test_what_has_the_name_of_best_and_cannot_be_read_is_no_reason_to_take_the_latest(store, make):
    save(store, 1)
    make(store.directory / "best")
    with pytest.raises(CheckpointError, match="checkpoints/best"):
        store.load_chosen(None)
