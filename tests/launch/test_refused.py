"""A command that is refused leaves a run directory byte for byte as it was, and says why in one line."""

import hashlib
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from mzpipe.cli.main import main
from mzpipe.config import load_profile
from mzpipe.games import describe_game
from mzpipe.launch import checks
from mzpipe.launch import plan as plan_module
from mzpipe.launch import train as train_module
from mzpipe.launch.rehearsal import describe_model
from mzpipe.replay.journal import JournalLayout
from mzpipe.replay.journal.manifest import MANIFEST
from mzpipe.runs.checkpoint import CheckpointStore
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.runs.initial import read_initial
from tests.launch.journals import make_journal
from tests.tiny import _PROFILE, planned
from tests.trained.runs import make_run

MIB = 1 << 20
MODEL = r"step_00000030 is of another model: .*: resume it with its own \[network\], game and game.frame_stack, or give"
# The command's overrides, its exit code, and its line.
REFUSED = {
    "unknown field": (["learner.batch_siez=3"], 2, r"learner.batch_siez: unknown field; did you mean"),
    "out of range": (["learner.batch_size=0"], 2, "learner.batch_size=0"),
    "unknown game": (["game.name=Pnog"], 2, "game.name='Pnog': unknown game"),
    "code to import": (["game.name=tests.games.own_games:Walk"], 2, "give --allow-env-import"),
    "faulty game": (["game.name=Pendulum-v1"], 2, "game.gymnasium.action_bins=0: say how many values"),
    "another game": (
        ["game.name=Acrobot-v1"],
        74,
        "step_00000030 is of CartPole-v1, game.name='Acrobot-v1': resume it",
    ),
    "another network": (["network.hidden_size=16"], 74, MODEL),
    "another kind": (["network.value_prefix=true"], 74, MODEL),
    "another stack": (["game.frame_stack=2"], 74, MODEL),
    "another support": (["network.value_support_size=11"], 74, MODEL),
    "training heads": (["network.consistency=true"], 74, MODEL),
    "table too small": (["replay.capacity_bytes=65536", "replay.min_size_to_sample=100000"], 2, "replay.min_size"),
    "memory": (["replay.capacity_bytes=1000000000000000"], 2, "memory: the run needs"),
    "shared memory": (["topology.trajectory_ring_slots=100000000"], 2, ".*: the run needs .* lower topology.traj"),
    "device": (["inference.devices=[99]"], 75, "device 99: this machine has "),
    "unused Atari": (
        ["game.atari.noop_max=3"],
        2,
        "game.atari.noop_max=3: it has no effect on CartPole-v1: leave it out",
    ),
    "unused board": (["game.board.size=9"], 2, "game.board.size=9: it has no effect on CartPole-v1"),
    "unused opponent": (
        ["evaluator.opponent=rollouts"],
        2,
        "evaluator.opponent='rollouts': CartPole-v1 has one player",
    ),
    "unused axes": (
        ["game.gymnasium.image_channels=last"],
        2,
        "image_channels='last': CartPole-v1 observes .* no axis of",
    ),
    "no source": (["replay.from=nowhere", "reanalyze.fraction=1.0"], 2, "replay.from='nowhere': .* holds no journal"),
}


def digest(path):
    """Of every name, mode and byte in a directory."""
    found = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        status = each.lstat()
        contents = os.readlink(each).encode() if each.is_symlink() else each.read_bytes() if each.is_file() else b""
        found.update(repr((str(each.relative_to(path)), status.st_mode, status.st_mtime_ns, contents)).encode())
    return found.hexdigest()


@pytest.fixture
def prepared_here(monkeypatch, shared_memory):
    """The model is described in this process, and nothing is started."""
    for module in (plan_module, checks):
        if hasattr(module, "SHARED_MEMORY"):
            monkeypatch.setattr(module, "SHARED_MEMORY", shared_memory)
    monkeypatch.setattr(train_module, "prepare", lambda profile, game, *_: describe_model(profile, game))
    for name in ("Supervisor", "run_serial"):
        monkeypatch.setattr(train_module, name, lambda *_: pytest.fail("a process was started"))


@pytest.fixture
def run(tmp_path, prepared_here):
    """The directory of a run that was killed, as it lies there: a lock, scores, a log, a stranger's file."""
    path = make_run(tmp_path / "run")
    (path / "run.lock").write_text('{"pid": 1}' + 90 * " ")
    (path / "logs").mkdir()
    (path / "logs" / "actor-0.log").write_text("a log\n")
    (path / "mine.txt").write_text("mine")
    return path


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profile.toml"
    path.write_text(_PROFILE.replace("learner_steps = 10", "learner_steps = 99"))
    return path


def refused(words, path, capsys):
    """Runs a command that must change nothing; returns its exit code and its last line."""
    before = digest(path)
    code = main(words)
    assert digest(path) == before
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return code, line


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_command_leaves_the_run_as_it_was(run, profile, capsys, monkeypatch, verb, case):
    overrides, code, text = REFUSED[case]
    words = [verb, str(profile), "--run-dir", str(run), *(word for each in overrides for word in ("--set", each))]
    found, line = refused(words, run, capsys)
    assert found == code, line
    assert line.startswith(f"mzpipe {verb}: ")
    assert __import__("re").search(text, line), line


@pytest.mark.parametrize("verb", ["train", "plan"])
def test_a_logger_that_cannot_be_made_leaves_the_run_as_it_was(run, profile, capsys, monkeypatch, verb):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "")
    loggers = 'telemetry.loggers=["tests.loggers.bad:RaisesWhenMade"]'
    words = [verb, str(profile), "--run-dir", str(run), "--allow-env-import", "--set", loggers]
    code, line = refused(words, run, capsys)
    assert code == 2
    assert "telemetry.loggers: tests.loggers.bad:RaisesWhenMade: its constructor raised ValueError: no words" in line


# The overrides of a new run, its exit code, and its line; RUN is a sound run of the profile.
NOT_BEGUN = {
    "no such place": (["learner.init_from=nowhere"], 2, "learner.init_from='nowhere': no such file or directory"),
    "no weights": (["learner.init_from=."], 2, "learner.init_from='.': no weights lie here: name a run's directory"),
    "another network": (
        ["learner.init_from=RUN", "network.hidden_size=16"],
        74,
        r"learner.init_from: representation\S* is float32 \(8, 4\) in RUN/checkpoints/step_00000030, "
        r"the profile's model has float32 \(16, 4\) \(the first of \d+ tensors that do not fit\): no part of the two",
    ),
    "another support": (
        ["learner.init_from=RUN", "network.value_support_size=11"],
        74,
        r"learner.init_parts=\[\"representation\", \"dynamics\", \"prediction.layers\", \"prediction.policy\"\]",
    ),
    "a part that differs": (
        ["learner.init_from=RUN", "network.value_support_size=11", 'learner.init_parts=["prediction"]'],
        74,
        "learner.init_from: prediction.value.weight is ",
    ),
    "no such part": (
        ["learner.init_from=RUN", 'learner.init_parts=["dynamic"]'],
        2,
        "'dynamic' is no part of the profile's model; did you mean dynamics",
    ),
    "parts of nothing": (['learner.init_parts=["dynamics"]'], 2, "learner.init_from names no weights to take them"),
    "shared memory": (["learner.init_from=RUN"], 2, ".*: the run needs .* MiB, .* are free: lower topology.trajectory"),
}


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize("case", NOT_BEGUN)
def test_weights_to_begin_with_are_refused_before_anything_is_there(
    run, profile, capsys, monkeypatch, tmp_path, verb, case
):
    overrides, code, text = NOT_BEGUN[case]
    monkeypatch.chdir(run / "logs")
    if case == "shared memory":  # room for the segments, but not for the weights too
        plan = planned(load_profile(profile))
        monkeypatch.setattr(plan_module, "free_shared_bytes", lambda: plan.segment_bytes() + 100)
    words = [word for each in overrides for word in ("--set", each.replace("RUN", str(run)))]
    before = digest(run)
    assert main([verb, str(profile), "--run-dir", str(tmp_path / "new"), *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(text.replace("RUN", str(run)), line), line
    assert digest(run) == before and not (tmp_path / "new").exists()


def test_weights_to_begin_with_are_told_and_handed_over_before_any_process_starts(
    run, profile, capsys, monkeypatch, tmp_path
):
    seen = []

    class Started(Exception):
        pass

    def supervisor(plan, directory, live, *_):
        seen.append(read_initial(Path(live.runtime_directory)))
        raise Started

    monkeypatch.setattr(train_module, "Supervisor", supervisor)
    words = [str(profile), "--run-dir", str(tmp_path / "new"), "--set", f"learner.init_from={run}"]
    assert main(["plan", *words, "--set", "learner.init_parts=['dynamics']"]) == 0
    parts = capsys.readouterr().out
    assert main(["train", *words]) == 70
    told = capsys.readouterr().out
    saved = CheckpointStore(run / "checkpoints").load("latest").weights
    assert seen[0].keys() == saved.keys() and all((seen[0][name] == saved[name]).all() for name in saved)
    where = f"weights   from {run}/checkpoints/step_00000030 (CartPole-v1): "
    assert f"{where}{len(saved)} of {len(saved)} tensors, " in told
    new = "; new: representation, prediction; left out: representation, prediction"
    assert re.search(rf"{re.escape(where)}\d of {len(saved)} tensors, [\d,]+ of [\d,]+ numbers{new}\n", parts)


@pytest.mark.parametrize("verb", ["train", "plan"])
def test_weights_to_begin_with_are_not_read_when_a_run_resumes(run, profile, capsys, verb):
    words = [verb, str(profile), "--run-dir", str(run), "--set", "learner.init_from=nowhere"]
    if verb == "plan":
        assert main(words) == 0
        return
    with pytest.raises(pytest.fail.Exception, match="a process was started"):
        main(words)
    assert "learner.init_from='nowhere': not read: the run has weights of its own" in capsys.readouterr().out


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "manifest missing": (lambda directory, _: (directory / MANIFEST).unlink(), "manifest.json: missing"),
    "manifest": (lambda directory, _: flip(directory / MANIFEST, 80), "manifest.json: "),
    "segment missing": (lambda _, segments: segments[1].unlink(), "missing, though manifest.json names it"),
    "segment cut": (lambda _, segments: os.truncate(segments[1], 500), "offset 500: has 500 bytes, manifest.json"),
    "header": (lambda _, segments: flip(segments[1], 20), "offset 0: damaged header"),
    "another game's": (
        lambda directory, _: make_another(directory),
        "the journal belongs to another game: frame_shape",
    ),
}


def make_another(directory):
    shutil.rmtree(directory)
    make_journal(directory, JournalLayout((3,), "float32", 2))


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize("case", DAMAGES)
@pytest.mark.parametrize("whose", ["its own", "another run's"])
def test_a_damaged_journal_is_refused(run, profile, capsys, verb, case, whose, monkeypatch):
    damage, text = DAMAGES[case]
    monkeypatch.setattr(train_module, "prepare", lambda *_: pytest.fail("the run was prepared"))
    source = run if whose == "its own" else make_run(run.parent / "source")
    make_journal(source / "journal")
    damage(source / "journal", sorted((source / "journal").glob("segment-*")))
    words = [] if source == run else ["--set", f"replay.from={source}", "--set", "reanalyze.fraction=1.0"]
    code, line = refused([verb, str(profile), "--run-dir", str(run), *words], run, capsys)
    assert code == 74
    assert text in line and str(source / "journal") in line


@pytest.mark.parametrize("verb", ["train", "plan"])
def test_a_disk_without_room_is_refused(run, profile, capsys, monkeypatch, verb):
    statvfs = os.statvfs
    full = SimpleNamespace(f_bavail=1, f_frsize=1024, f_flag=0)
    monkeypatch.setattr(checks.os, "statvfs", lambda path: full if str(path) == str(run) else statvfs(path))
    code, line = refused([verb, str(profile), "--run-dir", str(run)], run, capsys)
    assert code == 2
    assert "run: two checkpoints and a part of the journal need " in line and " of its disk, 0.0 MiB are free" in line


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize("place", ["checkpoints", "profile.toml"])
def test_a_run_that_cannot_be_written_to_is_refused(run, profile, capsys, monkeypatch, verb, place):
    access = os.access
    monkeypatch.setattr(checks.os, "access", lambda path, mode: access(path, mode) and path.name != place)
    code, line = refused([verb, str(profile), "--run-dir", str(run)], run, capsys)
    assert (code, f"{run / place}: cannot be written to" in line) == (74, True)


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize("fault", ["missing", "read-only"])
def test_shared_memory_that_nobody_can_use_is_refused(run, profile, capsys, monkeypatch, verb, fault):
    shared = run.parent / "other"
    monkeypatch.setattr(plan_module, "SHARED_MEMORY", shared)
    if fault == "read-only":
        shared.mkdir()
        free = SimpleNamespace(f_bavail=1 << 40, f_frsize=1, f_flag=os.ST_RDONLY)
        monkeypatch.setattr(plan_module.os, "statvfs", lambda path: free)
    code, line = refused([verb, str(profile), "--run-dir", str(run)], run, capsys)
    assert code == 2
    assert f"{shared}: " in line and "runs keep their segments in it" in line


def test_a_killed_runs_lock_and_leftovers_stay_until_a_start_is_not_refused(run, profile, capsys, shared_memory):
    left = shared_memory / f"mzpipe-{os.getuid()}-0123456789ab"
    left.mkdir(mode=0o700)
    (left / "lock").touch(0o600)
    (run / "run.lock").write_text(f'{{"pid": 1, "run_id": "0123456789ab", "runtime_directory": "{left}"}}')
    words = ["train", str(profile), "--run-dir", str(run), "--set", "network.hidden_size=16"]
    assert refused(words, run, capsys)[0] == 74
    assert left.is_dir()
    assert RunDirectory(run).live() == LiveRun(1, "0123456789ab", str(left))


def test_a_refused_first_start_leaves_no_directory(tmp_path, profile, prepared_here, capsys):
    assert (
        main(["train", str(profile), "--run-dir", str(tmp_path / "new" / "run"), "--set", "inference.devices=[99]"])
        == 75
    )
    assert not (tmp_path / "new").exists()


def test_a_saved_profile_that_cannot_be_read_stops_no_training(run, profile, capsys):
    (run / "profile.toml").write_text("")
    with pytest.raises(pytest.fail.Exception, match="a process was started"):
        main(["train", str(profile), "--run-dir", str(run)])
    assert f"{run / 'profile.toml'}: empty: stop: no limit is set" in capsys.readouterr().out
    assert load_profile(run / "profile.toml").stop.learner_steps == 99


def test_a_run_resumes_with_its_own_settings_even_where_they_have_no_effect(run, profile, capsys):
    profile.write_text(f"{profile.read_text()}\n[game.atari]\nnoop_max = 3\n")
    (run / "profile.toml").write_text(profile.read_text())
    assert main(["plan", str(profile), "--run-dir", str(run)]) == 0
    assert main(["plan", str(profile)]) == 2
    assert "game.atari.noop_max=3: it has no effect on CartPole-v1" in capsys.readouterr().err


def test_a_checkpoint_of_its_own_profile_is_not_refused(run, profile, capsys):
    assert main(["plan", str(profile), "--run-dir", str(run)]) == 0
    saved = CheckpointStore(run / "checkpoints").load("latest").weights
    described = describe_model(load_profile(profile), describe_game(load_profile(profile).game))
    assert {field.name for field in described.model.training_state} == set(saved)
