"""A run whose network is the user's own class: every command that makes the network finds it, or says the same line."""

import sys

import pytest

from mzpipe.cli.main import main
from mzpipe.errors import MzpipeError
from mzpipe.own_code import allow_own_code
from mzpipe.trained import Player
from tests.tiny import observations
from tests.trained.runs import make_run

CODE = "from tests.nets.own_networks import Plain\n"
REFUSED = "network.kind='net_of_mine:Plain': this imports code: give --allow-env-import if you trust it"
GONE = "network.kind='net_of_mine:Plain': No module named 'net_of_mine': looked in "
COMMANDS = {
    "eval": lambda run: ["eval", run, "--episodes", "1"],
    "inspect": lambda run: ["inspect", run, "--step", "0", "--html", f"{run}/move.html"],
    "export": lambda run: ["export", "--onnx", run],
    "check-network": lambda run: ["check-network", run],
    "plan": lambda run: ["plan", f"{run}/profile.toml"],
    "train": lambda run: ["train", f"{run}/profile.toml", "--run-dir", run],
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The file of the class, which can be imported."""
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "net_of_mine", raising=False)
    (tmp_path / "net_of_mine.py").write_text(CODE)
    return tmp_path / "net_of_mine.py"


@pytest.fixture
def run(module, tmp_path):
    return make_run(tmp_path / "run", "network.kind=net_of_mine:Plain", "network.hidden_size=64")


def said(capsys):
    output = capsys.readouterr()
    return " ".join((output.out + output.err).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_the_same_line_without_the_permission(command, run, capsys):
    assert main(list(map(str, COMMANDS[command](run)))) == 2
    assert REFUSED in said(capsys)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_each_command_says_the_same_line_when_the_module_is_gone(command, run, module, capsys):
    module.unlink()
    del sys.modules["net_of_mine"]
    assert main([*map(str, COMMANDS[command](run)), "--allow-env-import"]) == 2
    assert GONE in said(capsys)


def test_player_says_it_too_and_plays_with_the_permission(run):
    allow_own_code(False)
    with pytest.raises(MzpipeError, match="net_of_mine:Plain': this imports code"):
        Player.load(run)
    allow_own_code(True)
    assert Player.load(run).act(observations(1)[0]).action in range(2)


@pytest.mark.parametrize(("fault", "code", "line"), [("", 0, ""), ("bent", 2, "exported, it answers otherwise")])
def test_exported_files_are_those_of_the_network_or_are_not_written(fault, code, line, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    kind = (
        "network.kind=tests.nets.own_networks:Faulty",
        "network.hidden_size=64",
        f"network.arguments.fault='{fault}'",
    )
    run = make_run(tmp_path / "run", *kind)
    assert main(["export", "--onnx", str(run), "--allow-env-import"]) == code
    assert line in said(capsys)
    assert (run / "onnx").exists() == (code == 0)
