"""The one way in which files are replaced: whatever goes wrong, the name leads to the former contents or the new."""

import contextlib
import errno
import os

import numpy as np
import pytest

from mzpipe.config import load_profile
from mzpipe.errors import InputOutputError
from mzpipe.learner import faults
from mzpipe.runs import files as module
from mzpipe.runs.directory import save_profile
from mzpipe.runs.files import replace_file, replacing
from mzpipe.runs.scores import Evaluation, ScoresFile, read_scores
from tests.replay.journal.disk import Disk
from tests.tiny import tiny_profile

FORMER, NEW = b"former" * 100, b"new" * 300
# The calls of one replacement: create, write, sync, rename, sync_directory, remove.
CALLS = 6


def torn_images(directory, fails=lambda n, name: None, forgets=""):
    """Files that a power cut after any call of a replacement leaves, where they are neither the former nor the new."""
    disk, torn = Disk(directory, fails, forgets), []
    replace_file(directory / "file", FORMER, disk)

    def look():
        torn.extend(image for image in disk.images() if image.get("file") not in (FORMER, NEW))

    disk.after = look
    try:
        replace_file(directory / "file", NEW, disk)
    except OSError:
        look()
    return torn


def test_replace_file_leaves_the_former_or_the_new_contents_at_a_power_cut(tmp_path):
    assert torn_images(tmp_path) == []


@pytest.mark.parametrize("n", range(CALLS))
@pytest.mark.parametrize("takes_effect", [False, True])
def test_replace_file_leaves_the_former_or_the_new_contents_when_a_call_fails(tmp_path, n, takes_effect):
    assert torn_images(tmp_path, lambda at, name: (errno.EIO, takes_effect) if at == CALLS + n else None) == []
    assert os.listdir(tmp_path) == ["file"]


def test_a_replacement_that_is_not_synced_would_be_found(tmp_path):
    """The negative control: a name that is on disk before the contents."""
    assert torn_images(tmp_path, forgets="sync")


@pytest.fixture
def order(monkeypatch):
    """Records what is synced and renamed, in order."""
    order, fsync, rename = [], os.fsync, os.rename

    def logged_fsync(descriptor):
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", lambda source, target: (order.append("RENAME"), rename(source, target)))
    return order


def replace_directory(path):
    with replacing(path) as draft:
        draft.mkdir()
        for name in ("a", "b"):
            (draft / name).write_bytes(NEW)


def is_synced_before_its_name(order, directory):
    return order == ["a", "b", f".new.{os.getpid()}.new", "RENAME", directory.name]


def test_replacing_syncs_every_file_and_the_directory_before_the_rename(tmp_path, order):
    replace_directory(tmp_path / "new")
    assert is_synced_before_its_name(order, tmp_path)


def test_replacing_without_its_syncs_would_be_found(tmp_path, order, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(module, "_sync", lambda path: None)
    replace_directory(tmp_path / "new")
    assert not is_synced_before_its_name(order, tmp_path)


def test_replacing_leaves_no_draft_and_the_former_file_when_its_block_fails(tmp_path):
    (tmp_path / "file").write_bytes(FORMER)
    with contextlib.suppress(KeyboardInterrupt), replacing(tmp_path / "file") as draft:
        draft.write_bytes(NEW)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == FORMER


def test_replacing_takes_no_name_that_a_directory_has_unless_they_are_exchanged(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "kept").touch()
    with pytest.raises(OSError, match="not empty"):
        replace_directory(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == ["kept"] and os.listdir(tmp_path) == ["new"]
    with replacing(tmp_path / "new", exchange=True) as draft:
        draft.mkdir()
    assert os.listdir(tmp_path / "new") == [] and os.listdir(tmp_path) == ["new"]


def refuse(source, target):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_saved_profile_stays_what_it_was_when_a_crash_comes_before_the_rename(tmp_path, monkeypatch):
    path = tmp_path / "profile.toml"
    save_profile(tiny_profile("seed=3"), path)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(InputOutputError, match=r"cannot write .*profile.toml: Input/output error"):
        save_profile(tiny_profile("seed=4"), path)
    assert load_profile(path).seed == 3
    assert os.listdir(tmp_path) == ["profile.toml"]


def test_scores_stay_what_they_were_when_a_crash_comes_before_the_rename(tmp_path, monkeypatch):
    scores, first = ScoresFile(tmp_path / "scores.csv"), Evaluation(1, 10, 300, 20.0, 0.0, 2)
    scores.append(first)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(InputOutputError, match=r"cannot write .*scores.csv: Input/output error"):
        scores.append(Evaluation(2, 20, 600, 30.0, 0.0, 2))
    assert read_scores(tmp_path / "scores.csv") == [first]


def test_first_batch_that_is_not_finite_is_kept_whole(tmp_path, order, monkeypatch):
    monkeypatch.setattr(faults, "named", dict)  # a batch of one field, and not of all fields
    faults.FaultWatch(tmp_path).bad({"reward": np.array([np.nan])}, 7)
    assert order[1:] == ["RENAME", tmp_path.name]
    with np.load(tmp_path / "nonfinite-step-00000007.npz") as kept:
        assert np.isnan(kept["reward"])
