"""`mzpipe check-env`: rows, exit codes, profiles, and when code may be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mzpipe.cli.main import main
from mzpipe.measure.game import random_play
from tests.processes import alive

PROFILE = "[game]\nname = 'FrozenLake-v1'\n[stop]\nminutes = 1\n"
NIM = "tests.games.own_games:Nim"


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(random_play, "_MAX_MOVES", 30)
    monkeypatch.setattr(random_play, "_SPEED_SECONDS", 0.01)


def test_check_env_prints_a_row_per_check_and_ends_with_0(capsys):
    assert main(["check-env", "CartPole-v1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ok    legal actions   all of 2 in every position" in [line.rstrip() for line in lines]
    assert lines[-1] == "all is right"


def test_check_env_ends_with_2_when_a_check_fails(capsys):
    assert main(["check-env", "tests.games.own_games:Restless", "--allow-env-import"]) == 2
    out = capsys.readouterr().out
    assert "FAIL  repeats" in out
    assert out.splitlines()[-1] == "1 of the checks failed"


def test_check_env_takes_a_profile_and_overrides(profile, capsys):
    assert main(["check-env", str(profile), "--set", "game.gymnasium.arguments.map_name='8x8'"]) == 0
    assert "64 float32 values" in capsys.readouterr().out


def test_check_env_refuses_a_missing_profile(tmp_path, capsys):
    assert main(["check-env", str(tmp_path / "no.toml")]) == 2
    assert "no.toml: no such profile" in capsys.readouterr().err


@pytest.mark.parametrize("inherited", ["1", None])
def test_code_is_imported_only_where_this_command_line_allows_it(inherited, monkeypatch, capsys):
    if inherited:
        monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", inherited)
    assert main(["check-env", NIM]) == 2
    assert "--allow-env-import" in capsys.readouterr().out
    assert "MZPIPE_ALLOW_ENV_IMPORT" not in os.environ
    assert main(["check-env", NIM, "--allow-env-import"]) == 0


def test_what_tells_the_mask_or_leaves_its_bounds_is_noted_and_is_no_fault(capsys):
    assert main(["check-env", "tests.games.own_games:Masked", "--allow-env-import"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "note legal actions come from info['action_mask']" in out
    assert "ok legal actions 1 to 1 of 2 in every position" in out
    assert "note observations leave the bounds of their space Box(0.0, 1.0, (1,), float32)" in out


@pytest.fixture
def type_check(tmp_path):
    """Types `mzpipe check-env module:Game` for a game of these lines, as a person does."""

    def check(module, *lines):
        (tmp_path / f"{module}.py").write_text("\n".join(lines) + "\n")
        root = Path(__file__).parents[2]
        return subprocess.run(
            [sys.executable, root / "bin" / "mzpipe", "check-env", f"{module}:Game", "--allow-env-import"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])},
            capture_output=True,
            text=True,
            timeout=250,
        )

    return check


def test_a_game_may_start_processes_that_import_the_command_anew(type_check):
    done = type_check(
        "spawning",
        "import multiprocessing",
        "from tests.games.own_games import Walk",
        "class Game(Walk):",
        "    def __init__(self):",
        "        super().__init__()",
        "        child = multiprocessing.get_context('spawn').Process(target=abs, args=(1,))",
        "        child.start()",
        "        child.join()",
        "        assert child.exitcode == 0, child.exitcode",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("all is right") == 1


def test_a_process_that_a_game_leaves_behind_ends_with_the_command(type_check, tmp_path):
    done = type_check(
        "leaving",
        "import multiprocessing, pathlib, threading",
        "from tests.games.own_games import Walk",
        "class Game(Walk):",
        "    def __init__(self):",
        "        super().__init__()",
        "        child = multiprocessing.Process(target=threading.Event().wait)",
        "        child.start()",
        f"        pathlib.Path({str(tmp_path)!r}, f'{{child.pid}}.pid').touch()",
        "    def step(self, action):",
        "        raise ValueError('lost')",
    )
    assert (done.returncode, done.stdout.count("raised ValueError: lost")) == (2, 1)
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert pids and not any(map(alive, pids))


def test_a_thread_that_a_game_leaves_behind_does_not_hold_back_the_command(type_check):
    done = type_check(
        "threaded",
        "import threading",
        "from tests.games.own_games import Walk",
        "class Game(Walk):",
        "    def __init__(self):",
        "        super().__init__()",
        "        threading.Thread(target=threading.Event().wait).start()",
        "    def step(self, action):",
        "        raise SystemExit(0)",
    )
    assert done.returncode == 2
    assert "threaded:Game: step() called sys.exit(0) (threaded.py, line 8)" in " ".join(done.stdout.split())
