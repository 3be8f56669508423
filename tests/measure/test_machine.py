"""Host, commit, and the one core."""

import os
import re
import subprocess
import threading

import pytest

from mzpipe.measure import machine
from mzpipe.measure.machine import UNKNOWN, commit, host, one_core
from tests.processes import threads
from tests.waiting import eventually


@pytest.fixture
def repository(tmp_path):
    """A git repository with one commit."""
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_host_names_the_processor_and_counts_its_cores():
    assert re.fullmatch(rf"\S.*, {os.cpu_count()} cores", host())


def test_host_names_the_architecture_when_the_model_is_not_told(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "nothing")
    assert host() == f"{os.uname().machine}, {os.cpu_count()} cores"


def test_commit_is_a_short_hash_when_nothing_has_changed(repository):
    assert re.fullmatch(r"[0-9a-f]{7,}", commit(repository))


def test_commit_says_so_when_the_tree_has_changes(repository):
    (repository / "new").touch()
    assert re.fullmatch(r"[0-9a-f]{7,}\+changes", commit(repository))


def test_commit_is_unknown_outside_git(tmp_path):
    assert commit(tmp_path) == UNKNOWN


def test_commit_is_unknown_without_git(monkeypatch, repository):
    monkeypatch.setenv("PATH", "")
    assert commit(repository) == UNKNOWN


def test_one_core_holds_every_thread_and_then_lets_go_of_all():
    before, started, done = os.sched_getaffinity(0), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), done.wait(120)))
    thread.start()
    assert started.wait(120)
    try:
        with one_core() as core:
            assert os.sched_getaffinity(0) == os.sched_getaffinity(thread.native_id) == {core}
        assert os.sched_getaffinity(0) == os.sched_getaffinity(thread.native_id) == before
    finally:
        done.set()
        thread.join()


def test_one_core_lets_go_of_threads_that_started_inside():
    before, done = os.sched_getaffinity(0), threading.Event()
    thread = threading.Thread(target=done.wait, args=(10,))
    try:
        with one_core() as core:
            thread.start()
            assert os.sched_getaffinity(thread.native_id) == {core}
        assert os.sched_getaffinity(thread.native_id) == before
    finally:
        done.set()
    thread.join()


def test_one_core_passes_over_threads_that_ended_since_they_were_listed(monkeypatch):
    ended = threading.Thread(target=int)
    ended.start()
    ended.join()
    assert eventually(lambda: ended.native_id not in threads())
    listed = machine._threads
    monkeypatch.setattr(machine, "_threads", lambda: [ended.native_id, *listed()])
    before = os.sched_getaffinity(0)
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_one_core_lets_go_when_the_measurement_fails():
    before = os.sched_getaffinity(0)
    with pytest.raises(KeyError), one_core():
        raise KeyError
    assert os.sched_getaffinity(0) == before
