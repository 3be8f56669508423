"""Nothing is imported from the directory in which a command is started, except a game that it is allowed to import."""

import ast
import configparser
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mzpipe

CLONE, PACKAGE = Path(__file__).resolve().parents[2], Path(mzpipe.__file__).parent
METADATA = configparser.ConfigParser()
METADATA.read(CLONE / "setup.cfg")
SCRIPTS = sorted(METADATA["options"]["scripts"].split())
# Everything that Python has, what mzpipe depends on, and what Python would load at its start.
DEPENDENCIES = ("numpy", "numba", "torch", "pydantic", "zmq", "msgpack", "safetensors", "tensorboard", "rich", "psutil")
SHADOWS = (*sys.stdlib_module_names, *DEPENDENCIES, "sitecustomize", "usercustomize", "mzpipe", "mzbench")


@pytest.fixture
def make_shadows(tmp_path):
    """Makes files in a directory that write their names into the marker's file, if they are ever imported."""
    marker = tmp_path / "imported"

    def make(names):
        (tmp_path / "here").mkdir()
        for name in names:
            (tmp_path / "here" / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write({name!r} + chr(10))\n")
        return tmp_path / "here"

    yield make
    assert not marker.exists(), marker.read_text()


@pytest.mark.parametrize("words", [[], ["--set", "game.name=treasure:Treasure", "--allow-env-import"]])
def test_run_imports_nothing_that_shadows_a_module_when_started_next_to_it(profile, make_shadows, words):
    here = make_shadows(
        name for name in SHADOWS if not words or find_spec(name)
    )  # a game may import what is only there
    for file in (CLONE / "examples" / "treasure.py", profile):
        shutil.copy(file, here)
    command = [sys.executable, CLONE / "bin" / "mzpipe", "train", profile.name, "--run-dir", "run", *words]
    done = subprocess.run(
        [*command, "--set", "stop.learner_steps=20"], cwd=here, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stop.learner_steps=20 reached" in done.stdout


def test_scripts_are_those_that_the_metadata_installs():
    assert sorted(f"bin/{path.name}" for path in (CLONE / "bin").iterdir()) == SCRIPTS
    assert "options.entry_points" not in METADATA


def test_entry_point_imports_nothing_that_shadows_a_module(make_shadows):
    """The last one is found by Python itself, which would take a mzpipe.py of the current directory for the package."""
    here = make_shadows(name for name in SHADOWS if name != "mzpipe")
    commands = [[CLONE / script] for script in SCRIPTS] + [[sys.executable, "-m", "mzpipe"]]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # the scripts ask it for python3
    started = []
    for command in commands:
        words = ["nowhere"] if Path(command[0]).name.startswith("mzpipe-") else ["plan", "nowhere.toml"]
        started.append(subprocess.Popen([*command, *words], cwd=here, env={**os.environ, "PATH": path}))
    assert [process.wait(timeout=200) for process in started] == [2] * len(commands)


def python_commands(path):
    """The lists of words in a module that begin with this Python, as source text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.List | ast.Tuple) and "sys.executable" in ast.unparse(node):
            yield ast.unparse(node)


def test_programs_are_started_without_the_current_directory_on_their_path():
    commands = [command for path in PACKAGE.rglob("*.py") for command in python_commands(path)]
    assert commands and all(command.startswith("[sys.executable, '-P', '-m'") for command in commands), commands
