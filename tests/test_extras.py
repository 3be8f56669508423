"""Packages that only some uses need: a missing one is one line, and the rest works without it."""

import configparser
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode, UsageError
from mzpipe.extras import EXTRAS, how_to_install, missing_extras, require

ROOT = Path(__file__).parents[1]
# Runs mzpipe's code as if the packages of every extra were not installed.
WITHOUT = """
import importlib.util, sys
from mzpipe.extras import EXTRAS
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name.partition(".")[0] in EXTRAS else found(name, *more)
import mzpipe.extras
mzpipe.extras.find_spec = importlib.util.find_spec
"""


def without_extras(code):
    """Runs code in a process that has none of the packages; returns what it did."""
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=250)


def test_extras_are_those_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(EXTRAS.values()) <= set(setup["options.extras_require"])
    named = setup["options.extras_require"]["all"].partition("[")[2].partition("]")[0].split(",")
    loggers = {"trackio", "wandb", "mlflow"}  # each is many packages, and one of them is wanted
    large = {"envpool", "cluster"}
    assert set(EXTRAS.values()) - {"onnx"} - loggers - large == set(named)  # `cpu` brings onnx


def test_page_of_installation_says_which_extras_each_python_has():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras, classifiers = setup["options.extras_require"], setup["metadata"]["classifiers"]
    head, _, *rows = re.findall(
        r"^\| *(.*) \|$", (ROOT / "docs/install.md").read_text().partition("## Versions")[2], re.M
    )
    versions = re.findall(r"3\.\d+", head)
    assert versions == re.findall(r"Python :: (3\.\d+)", classifiers)
    told = {name: row.split(" | ")[1:] for row in rows for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert set(told) == set(extras) - {"all"}
    for name, cells in told.items():
        lines = [Requirement(line) for line in extras[name].split("\n") if line and not line.startswith("mzpipe[")]
        for version, cell in zip(versions, cells, strict=True):
            out = [each.name for each in lines if each.marker and not each.marker.evaluate({"python_version": version})]
            assert cell == ("yes" if not out else "no" if len(out) == len(lines) else f"without {', '.join(out)}"), name


@pytest.mark.parametrize("package", EXTRAS)
def test_missing_package_is_a_line_that_says_how_to_install_it(package):
    with pytest.raises(UsageError) as raised, missing_extras():
        raise ModuleNotFoundError(f"No module named '{package}.inner'", name=f"{package}.inner")
    assert str(raised.value) == f"this needs {package}, which is not installed: {how_to_install(package)}"


def test_another_missing_module_stays_what_it_is():
    with pytest.raises(ModuleNotFoundError, match="nonesuch"), missing_extras():
        importlib.import_module("nonesuch")


def test_require_names_what_asked_for_it(monkeypatch):
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"inference.runtime='openvino': openvino is not installed: pip install "):
        require("openvino", "inference.runtime='openvino'")


def test_plan_refuses_a_runtime_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: None)
    assert main(["plan", "cartpole", "--set", "inference.runtime=openvino"]) == ExitCode.USAGE
    assert "openvino is not installed: pip install 'mzpipe[cpu]'" in capsys.readouterr().err


@pytest.mark.slow
def test_every_role_of_a_game_of_one_player_loads_without_extras():
    done = without_extras(
        "from mzpipe.launch.roles import _CLASSES\n"
        "import pkgutil\n"
        "[pkgutil.resolve_name(path) for path in _CLASSES.values()]\n"
        "import mzpipe.api, mzpipe.cli.train, mzpipe.cli.eval, mzpipe.cli.top, mzpipe.cli.profile\n"
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["plan", "atari-pong-cpu"], "game.name='Pong': unknown game; Atari's games need ale_py: pip install"),
        (["plan", "connect-four"], "this needs pyspiel, which is not installed: pip install 'mzpipe[boards]'"),
        (["eval", "atari-pong-cpu"], "game.name='Pong': unknown game; Atari's games need ale_py: pip install"),
        (["plan", "lunarlander"], "Box2D is not installed: pip install 'mzpipe[box2d]'"),
        (["plan", "invertedpendulum"], "MuJoCo is not installed: pip install 'mzpipe[mujoco]'"),
        (["plan", "minatar-breakout"], "MinAtar's games need the minatar package: pip install 'mzpipe[minatar]'"),
    ],
)
def test_command_names_the_missing_extra_in_one_line(words, line):
    done = without_extras(f"from mzpipe.cli.main import main\nsys.exit(main({words!r}))")
    assert done.returncode == ExitCode.USAGE, done.stderr[-2000:]
    assert line in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_inference_on_a_cpu_takes_torch_without_its_runtimes_and_says_so():
    done = without_extras(
        "import torch\n"
        "from mzpipe.games import describe_game\n"
        "from mzpipe.nets.engines.networks import make_networks, resolve_arithmetic\n"
        "from tests.tiny import tiny_profile, planned\n"
        "profile, lines = tiny_profile(), []\n"
        "shape, cpu = planned(profile).shape, torch.device('cpu')\n"
        "make_networks(profile, shape, cpu, count=1, pool_rows=8, max_batch=2, note=lines.append)\n"
        "print(resolve_arithmetic(profile, cpu).runtime, *lines)\n"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(
        "torch onnxruntime is not installed: torch takes its place and is slower: pip install"
    )
