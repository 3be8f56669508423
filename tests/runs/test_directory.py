"""The lock of a run directory, its runtime directory, and the sweep of what killed runs left."""

import fcntl
import json
import os
import re
import stat
import threading

import pytest

from mzpipe.errors import AlreadyRunningError, InputOutputError, UsageError
from mzpipe.runs import directory as module
from mzpipe.runs.directory import LiveRun, RunDirectory, runtime_prefix, sweep_leftovers

NOBODY = 65534


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def leave(shared_memory):
    """Makes a runtime directory like a killed supervisor's; with `lock` False it is half removed already."""

    def make(name=None, *, lock=True):
        path = shared_memory / (name or f"{runtime_prefix()}0123456789ab")
        path.mkdir(mode=0o700)
        (path / "weights").write_bytes(b"x")
        if lock:
            (path / "lock").touch()
        return path

    return make


@pytest.fixture
def hold():
    """Locks a file as a live supervisor does, until the test ends."""
    descriptors = []

    def lock(path):
        descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        fcntl.flock(descriptors[-1], fcntl.LOCK_EX)

    yield lock
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["a", "cartpole-seed0", "A.b_c-9", "x" * 64])
def test_run_directory_takes_a_plain_name(tmp_path, name):
    assert RunDirectory(tmp_path / name).path == tmp_path / name


@pytest.mark.parametrize("name", ["-rf", ".hidden", "..", "a b", "a\nb", "ünder", "x" * 65])
def test_run_directory_refuses_an_odd_name(tmp_path, name):
    with pytest.raises(UsageError, match=re.escape("the last part must match [A-Za-z0-9]")):
        RunDirectory(tmp_path / name)


def test_locked_raises_when_the_directory_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputOutputError, match="cannot be used as a run directory"),
        RunDirectory(tmp_path / "file" / "run").locked(),
    ):
        pass


def test_locked_refuses_a_second_holder_and_names_the_first(run):
    with run.locked():
        with (
            pytest.raises(AlreadyRunningError, match=rf"run: already running as pid {os.getpid()}$"),
            RunDirectory(run.path).locked(),
        ):
            pass
        with pytest.raises(AlreadyRunningError), run.locked():  # the failed attempt has not freed the lock
            pass
    with run.locked():
        pass


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"pid": null}'])
def test_locked_refuses_when_the_holder_has_not_written_its_pid_yet(run, hold, text):
    run.path.mkdir()
    hold(run.path / "run.lock")
    (run.path / "run.lock").write_text(text)
    with pytest.raises(AlreadyRunningError, match="already running as pid unknown"), run.locked():
        pass


def test_locked_names_itself_and_not_a_killed_predecessor(run):
    with run.locked():
        pass
    (run.path / "run.lock").write_text('{"pid": 1, "run_id": "x", "runtime_directory": "/dev/shm/x"}')
    with run.locked(), pytest.raises(AlreadyRunningError, match=f"pid {os.getpid()}$"), run.locked():
        pass


def test_live_says_what_a_role_needs_and_only_while_the_run_lives(run, shared_memory):
    with pytest.raises(UsageError, match="no live run here; start it with: mzpipe train"):
        run.live()
    with run.locked() as locked:
        with pytest.raises(UsageError, match="no live run here"):
            run.live()
        with locked.runtime() as live:
            assert run.live() == live
            assert live.pid == os.getpid()
            assert live.runtime_directory == str(shared_memory / f"{runtime_prefix()}{live.run_id}")
    with pytest.raises(UsageError, match="no live run here"):
        run.live()


FOREIGN = "/dev/shm/mzpipe-1-0123456789ab"
FORGED = [
    *({"pid": value} for value in (None, "1", 1.5, True, -1, [], 2**70)),
    *({"run_id": value} for value in (None, 5, "", "x", "../../../etc", "0123456789AB", ["0123456789ab"])),
    *({"runtime_directory": value} for value in (None, 5, [], "", "/", FOREIGN, "/dev/shm/../tmp", "\x00")),
]


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_lock_file_with_a_field_that_mzpipe_does_not_write_names_no_live_run(run, shared_memory, forged):
    path = str(shared_memory / f"{runtime_prefix()}0123456789ab")
    whole = {"pid": 1, "run_id": "0123456789ab", "runtime_directory": path}
    lock(run, json.dumps(whole))
    assert run.live() == LiveRun(**whole)
    check_no_run(run, json.dumps({**whole, **forged}))


@pytest.mark.parametrize("text", ["", "[]", "5", "{", "[" * 100_000, "x" * 100_000, '{"pid": 1}'])
def test_lock_file_of_other_contents_names_no_live_run(run, text):
    check_no_run(run, text)


@pytest.mark.parametrize(
    "last",
    [
        None,
        5,
        [],
        [1, 2, 3],
        [1] * 5,
        [1, 2, 3, -4],
        [1, 2, 3, "4"],
        [1.0, 2, 3, 4],
        {"env_steps": 1},
        [1, 2, 3, 2**70],
    ],
)
def test_lock_file_with_forged_counts_has_none(run, last):
    lock(run, json.dumps({"pid": 1, "last": last}))
    with run.locked() as locked:
        assert locked.last is None


def lock(run, text):
    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / "run.lock").write_text(text)


def check_no_run(run, text):
    lock(run, text)
    with pytest.raises(UsageError, match="no live run here"):
        run.live()
    with run.locked() as locked:
        assert locked.former is None


def test_runtime_directory_is_private_and_gone_at_the_end(run, shared_memory):
    with run.locked() as locked, locked.runtime():
        (path,) = shared_memory.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "lock").stat().st_mode) == 0o600
        (path / "segment").write_bytes(b"x")
    assert list(shared_memory.iterdir()) == []


def test_runtime_directory_is_gone_when_the_run_raises(run, shared_memory):
    def fail():
        with run.locked() as locked, locked.runtime():
            assert list(shared_memory.iterdir())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(shared_memory.iterdir()) == []


def test_sweep_removes_what_a_killed_run_left(leave):
    path = leave()
    assert sweep_leftovers() == [path]
    assert not path.exists()


def test_sweep_removes_a_directory_whose_removal_was_cut_short(leave):
    path = leave(lock=False)
    assert sweep_leftovers() == [path]
    assert not path.exists()


def test_sweep_keeps_a_live_run_and_removes_it_once_its_lock_is_free(run, shared_memory):
    with run.locked() as locked, locked.runtime():
        (path,) = shared_memory.iterdir()
        assert sweep_leftovers() == []
        assert (path / "lock").is_file()
        os.rename(path, path.with_name(f"{runtime_prefix()}kept"))
    assert sweep_leftovers() == [path.with_name(f"{runtime_prefix()}kept")]


@pytest.mark.parametrize("name", ["mzpipe-test-abc", "mzpipe-someone-else", "other", f"mzpipe-{os.getuid() + 1}-ab"])
def test_sweep_keeps_directories_of_other_names(leave, name):
    path = leave(name)
    assert sweep_leftovers() == []
    assert (path / "weights").is_file()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_sweep_keeps_a_directory_of_another_owner(leave):
    path = leave()
    os.chown(path, NOBODY, NOBODY)
    assert sweep_leftovers() == []
    assert (path / "weights").is_file()


def test_sweep_follows_no_link_and_leaves_plain_files(shared_memory, tmp_path):
    target = tmp_path / "precious"
    target.mkdir()
    (target / "file").touch()
    (shared_memory / f"{runtime_prefix()}link").symlink_to(target)
    (shared_memory / f"{runtime_prefix()}file").touch()
    assert sweep_leftovers() == []
    assert (target / "file").is_file()
    assert len(list(shared_memory.iterdir())) == 2


def test_sweep_keeps_a_directory_whose_lock_is_a_link(leave, tmp_path):
    path = leave(lock=False)
    (path / "lock").symlink_to(tmp_path)
    assert sweep_leftovers() == []
    assert (path / "weights").is_file()


def test_sweep_continues_when_a_run_ends_under_it(leave, shared_memory, monkeypatch):
    path = leave()
    gone = shared_memory / f"{runtime_prefix()}gone"
    monkeypatch.setattr(type(path), "glob", lambda self, pattern: [gone, path])
    assert sweep_leftovers() == [path]


def test_sweep_holds_the_lock_until_all_is_gone(leave, monkeypatch):
    """A supervisor that has made its lock file but not locked it yet must find it locked."""
    path, held, remove = leave(), [], module.shutil.rmtree

    def look_and_remove(directory, **options):
        descriptor = os.open(directory / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        held.append(directory)
        remove(directory, **options)

    monkeypatch.setattr(module.shutil, "rmtree", look_and_remove)
    assert sweep_leftovers() == held == [path]


def test_locked_waits_for_a_process_that_only_looks(run):
    run.path.mkdir()
    looking = os.open(run.path / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not run.is_held()  # a second onlooker does not take the first for a supervisor
    done = threading.Timer(0.05, os.close, [looking])
    done.start()
    with run.locked() as locked:
        assert locked.former is None
    done.join()
