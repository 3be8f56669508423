"""`mzpipe clean` and `mzpipe doctor`."""

import os
import shutil
import tempfile

import pytest

from mzpipe.cli import doctor
from mzpipe.cli.main import main
from mzpipe.errors import MzpipeError
from mzpipe.runs.directory import RunDirectory, runtime_prefix, scratch_directory
from mzpipe.runtime.environment import kernel_cache
from mzpipe.telemetry import make_view


def leave(tmp_path):
    """Makes a runtime directory like the one that a killed run leaves."""
    path = tmp_path / "shm" / f"{runtime_prefix()}0123456789ab"
    path.mkdir()
    (path / "lock").touch()
    return path


def test_clean_removes_what_a_killed_run_left_and_says_so(tmp_path, capsys):
    path = leave(tmp_path)
    assert main(["clean"]) == 0
    assert not path.exists()
    assert capsys.readouterr().out == f"removed {path}\n1 leftovers removed\n"


def test_clean_removes_the_scratch_directory_of_a_killed_process_and_keeps_one_in_use(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_directory("profile") as used:
        killed = tmp_path / used.name.replace(used.name[-12:], "0123456789ab")
        shutil.copytree(used, killed)
        assert main(["clean"]) == 0
        assert used.is_dir() and not killed.exists()
    assert not used.exists()
    assert capsys.readouterr().out == f"removed {killed}\n1 leftovers removed\n"


def test_errors_and_lines_do_nothing_to_a_terminal_whatever_a_file_holds(tmp_path, capsys):
    (tmp_path / "odd.toml").write_text('"\\u001b[2Jgone" = 1')
    assert main(["plan", str(tmp_path / "odd.toml")]) == 2
    assert "\\x1b[2Jgone: unknown field" in capsys.readouterr().err
    make_view().line("one\x1b[2J\rtwo")
    assert capsys.readouterr().out == "one\\x1b[2J\\rtwo\n"


def test_clean_keeps_a_live_run(tmp_path, capsys):
    with RunDirectory(tmp_path / "run").locked() as locked, locked.runtime() as live:
        assert main(["clean"]) == 0
        assert os.path.isdir(live.runtime_directory)
    assert capsys.readouterr().out == "0 leftovers removed\n"


def test_clean_removes_kernels_and_rehearsals_of_other_versions_and_keeps_ours(tmp_path, capsys):
    old = tmp_path / "cache" / "mzpipe" / "kernels-0.0.0-0123456789abcdef"
    (old / "rehearsals").mkdir(parents=True)
    (old / "rehearsals" / "0123").write_text("remembered")
    other = old.with_name("settings")
    other.mkdir()
    assert main(["clean"]) == 0
    assert not old.exists()
    assert other.is_dir()
    assert kernel_cache().is_dir()
    assert capsys.readouterr().out == f"removed {old}\n1 leftovers removed\n"


@pytest.mark.parametrize("error", [MzpipeError("no luck"), OSError("no luck"), ImportError("no luck")])
def test_doctor_exits_2_and_says_what_fails(monkeypatch, capsys, error):
    def fail():
        raise error

    monkeypatch.setattr(doctor, "_CHECKS", {"luck": fail, "python": lambda: "3"})
    assert main(["doctor"]) == 2
    assert capsys.readouterr().out.splitlines()[1:] == [
        "FAIL  luck                 no luck",
        "ok    python               3",
    ]


def test_doctor_exits_0_when_nothing_fails(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_CHECKS", {"python": lambda: "3"})
    assert main(["doctor"]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_doctor_says_that_shared_memory_cannot_be_written_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.launch.plan.SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(doctor, "_CHECKS", {"shared memory": doctor._shared_memory})
    assert main(["doctor"]) == 0
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # the tests may run as root
    assert main(["doctor"]) == 2
    assert f"FAIL  shared memory        {tmp_path}: cannot be written to: remount it" in capsys.readouterr().out
