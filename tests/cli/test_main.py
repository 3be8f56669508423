"""`mzpipe VERB ...`: what every verb has in common, and what `train` refuses, called in this process."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from mzpipe.cli import clean
from mzpipe.cli.main import VERBS, main
from mzpipe.errors import CheckpointError, DeviceError, DeviceWarning, MzpipeError, PlanError
from mzpipe.runs.directory import default_run_directory

PROFILE = "[stop]\nlearner_steps = 10\n"


@pytest.fixture
def refused(profile, tmp_path, capsys):
    """Runs a `train` that is refused; returns the one line that it prints."""

    def train(*overrides, path=profile, run="run"):
        sets = [word for override in overrides for word in ("--set", override)]
        assert main(["train", str(path), "--run-dir", str(tmp_path / run), *sets]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert not (tmp_path / run).exists()
        assert list((tmp_path / "shm").iterdir()) == []
        return line

    return train


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("learner.batchsize=3", "learner.batchsize: unknown field; did you mean learner.batch_size?"),
        ("lerner.batch_size=3", "lerner: unknown section; did you mean learner?"),
        ("learner.batch_size=eight", "learner.batch_size='eight': input should be a valid integer"),
        ("learner.batch_size=0", "learner.batch_size=0: input should be greater than or equal to 1"),
        ("learner.batch_size=65537", "learner.batch_size=65537: input should be less than or equal to 65536"),
        ("learner.learning_rate=nan", "learner.learning_rate=nan: input should be a finite number"),
        (
            "learner.batch_size",
            "--set learner.batch_size: write it as section.field=value, as in --set learner.batch_size=512",
        ),
        ("a.b.c.d.e.f.g.h.i.j=1", "--set a.b.c.d.e.f.g.h.i.j=1...: 9 dots, at most 8"),
        ("game.name=Pnog", "game.name='Pnog': unknown game; did you mean Pong?"),
    ],
)
def test_train_refuses_in_one_line_with_the_value_and_the_bound(refused, override, line):
    assert refused(override) == f"mzpipe train: {line}"


def test_train_refuses_what_no_memory_can_hold(refused):
    line = refused("replay.capacity_bytes=1000000000000000")
    assert "memory: the run needs" in line
    assert line.endswith("are free: lower replay.capacity_bytes, topology.actors or topology.trees_per_lane")


def test_train_refuses_a_missing_profile_and_names_the_nearest(refused, profile, tmp_path):
    line = refused(path=tmp_path / "tyni.toml")
    assert line == f"mzpipe train: {tmp_path / 'tyni.toml'}: no such profile; did you mean tiny.toml?"


def test_train_refuses_an_odd_run_name(refused, tmp_path):
    line = refused(run="odd name")
    assert line == (
        f"mzpipe train: --run-dir {tmp_path / 'odd name'}: the last part must match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}"
    )


def test_eval_refuses_a_directory_without_a_run(tmp_path, capsys):
    assert main(["eval", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err == f"mzpipe eval: {tmp_path / 'nothing'}: no run here (no profile.toml)\n"


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_eval_refuses_an_odd_number_of_episodes(number, capsys):
    with pytest.raises(SystemExit) as error:
        main(["eval", "run", "--episodes", number])
    assert error.value.code == 2
    assert "--episodes" in capsys.readouterr().err.splitlines()[-1]


def test_role_refuses_a_directory_without_a_live_run(tmp_path, capsys):
    assert main(["role", "actor", str(tmp_path / "nothing")]) == 2
    assert "no live run here; start it with: mzpipe train" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["trian"], ["train"], ["role", "collector", "run"]])
def test_main_exits_2_and_names_the_mistake_when_the_words_are_wrong(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_main_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as error:
        main(["--help"])
    assert error.value.code == 0
    text = capsys.readouterr().out
    assert [verb for verb in VERBS if verb not in text] == []


@pytest.mark.parametrize(
    ("error", "code"), [(MzpipeError, 70), (PlanError, 2), (CheckpointError, 74), (DeviceError, 75)]
)
def test_main_turns_an_error_into_one_line_and_its_exit_code(monkeypatch, capsys, error, code):
    def fail(arguments):
        raise error("this is why")

    monkeypatch.setattr(clean, "run", fail)
    assert main(["clean"]) == code
    assert capsys.readouterr().err == "mzpipe clean: this is why\n"


def test_main_ends_with_75_and_the_fields_to_lower_when_a_device_is_full(monkeypatch, capsys):
    def fail(arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has more to say. And more.")

    monkeypatch.setattr(clean, "run", fail)
    assert main(["clean"]) == 75
    said = "mzpipe clean: CUDA out of memory. Tried to allocate 2.00 GiB: lower learner.batch_size"
    assert capsys.readouterr().err.startswith(said)


def test_main_says_once_in_one_line_that_a_device_is_slower_than_it_should_be(monkeypatch, capsys):
    def warn(arguments):
        for line in ("no graphs", "no graphs", "no graphs"):
            warnings.warn(line, DeviceWarning, stacklevel=1)
        with pytest.warns(RuntimeWarning, match="of another kind"):
            warnings.warn("of another kind", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(clean, "run", warn)
    assert main(["clean"]) == 0
    assert capsys.readouterr().err == "mzpipe clean: no graphs\n"


def test_main_ends_with_70_and_a_traceback_when_the_unforeseen_happens(monkeypatch, capsys):
    def fail(arguments):
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(clean, "run", fail)
    assert main(["clean"]) == 70
    assert capsys.readouterr().err.splitlines()[-1] == "KeyError: 'nobody thought of this'"


def test_main_ends_with_130_when_it_is_interrupted(monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(clean, "run", interrupt)
    assert main(["clean"]) == 130


def test_main_loads_only_the_verb_that_is_used():
    code = (
        "import sys; from mzpipe.cli.main import main; main(['role', 'actor', 'nothing']); "
        "sys.exit(bool({'mzpipe.cli.train', 'mzpipe.cli.eval', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def test_default_run_directory_is_named_after_profile_and_seed():
    assert default_run_directory("cartpole", 7) == Path("runs/cartpole-seed7")


def test_command_ends_in_one_line_when_the_kernel_cache_cannot_be_used(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert main(["clean"]) == 74
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mzpipe clean: kernel cache ")


def test_doctor_says_what_is_wrong_with_the_kernel_cache_and_makes_the_other_checks(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "any")
    monkeypatch.setattr("mzpipe.cli.doctor._CHECKS", {"python": lambda: "3"})
    monkeypatch.setattr("mzpipe.cli.doctor._gpu_checks", lambda: ())
    at_exit = []
    monkeypatch.setattr(atexit, "register", lambda *words, **options: at_exit.append((words, options)))
    assert main(["doctor"]) == 2
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"FAIL  kernel cache         kernel cache {tmp_path / 'file'}/mzpipe")
    assert second == "ok    python               3"
    folder = os.environ["XDG_CACHE_HOME"]
    ((remove, *words), options) = next(each for each in at_exit if folder in each[0])
    remove(*words, **options)
    assert not os.path.exists(folder)


def test_a_command_whose_output_cannot_be_written_says_so_in_one_line_and_ends_with_74(tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text("[stop]\nminutes = 1\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mzpipe.cli.main", "plan", str(profile)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=250,
        )
    assert done.returncode == 74
    assert done.stderr == "mzpipe: output cannot be written (No space left on device): continuing without it\n"


def answer(connection):
    connection.send(connection.recv())


def test_main_spares_the_children_of_the_program_that_calls_it():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=answer, args=(theirs,))
    child.start()
    theirs.close()
    try:
        assert main(["config", "seed"]) == 0
        ours.send("alive")
        assert ours.recv() == "alive"
    finally:
        child.kill()
        child.join()
