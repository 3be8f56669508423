"""A border keeps the journal as it was, and is on disk before the former one is gone."""

import os

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.runs.border import Border, forget_border, keep_border, read_border, return_to_border
from mzpipe.runs.directory import RunDirectory

FIRST, SECOND = Border(learner_steps=10, env_steps=40), Border(learner_steps=20, env_steps=80)


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.journal.mkdir(parents=True)
    run.journal.joinpath("segment-00000001.mzj").write_bytes(b"one")
    return run


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_return_to_border_forgets_what_was_journaled_after_it(run):
    keep_border(run, FIRST)
    run.journal.joinpath("segment-00000002.mzj").write_bytes(b"two")
    return_to_border(run)
    assert names(run.journal) == ["segment-00000001.mzj"]
    assert read_border(run) == FIRST


def test_keep_border_replaces_the_former_one(run):
    keep_border(run, FIRST)
    run.journal.joinpath("segment-00000002.mzj").write_bytes(b"two")
    keep_border(run, SECOND)
    assert read_border(run) == SECOND
    assert names(run.border) == ["border.json", "segment-00000001.mzj", "segment-00000002.mzj"]
    assert names(run.path) == ["border", "journal"]


def test_forget_border_leaves_none(run):
    keep_border(run, FIRST)
    forget_border(run)
    assert read_border(run) is None


def test_keep_border_syncs_the_record_and_the_names_before_the_rename(run, monkeypatch):
    order = []
    rename, fsync = os.rename, os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (order.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}"))), fsync(file))[1]
    )
    monkeypatch.setattr(os, "rename", lambda *names: (order.append("RENAME"), rename(*names))[1])
    keep_border(run, FIRST)
    assert order == ["border.json", ".border.new", "RENAME", "run"]


def test_keep_border_says_what_could_not_be_kept(run, monkeypatch):
    keep_border(run, FIRST)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputOutputError, match=r"border: cannot be kept: No space left on device"):
        keep_border(run, SECOND)
    assert read_border(run) == FIRST
