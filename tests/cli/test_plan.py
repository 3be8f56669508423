"""`mzpipe plan`: says what `train` would say, refuses what it would refuse, starts and leaves nothing."""

import pytest

from mzpipe.cli.main import main
from mzpipe.config import load_profile
from mzpipe.games import describe_game
from mzpipe.launch import train as train_module
from mzpipe.launch.rehearsal import describe_model
from mzpipe.launch.signals import Outcome
from mzpipe.runs.directory import RunDirectory
from tests.launch.fakes import Screen

PROFILE = "[stop]\nlearner_steps = 10\n[network]\nhidden_size = 8\nvalue_support_size = 2\nreward_support_size = 3\n"


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """Fails if anything is left in the working directory or in /dev/shm."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    assert list((tmp_path / "work").iterdir()) == list((tmp_path / "shm").iterdir()) == []


@pytest.fixture
def said_by_train(tmp_path, monkeypatch):
    """The lines of `train` between its rehearsal and its first process."""

    def lines(path):
        class NoSupervisor:
            def __init__(self, *arguments):
                pass

            def run(self):
                return Outcome(0, "")

        profile, screen = load_profile(path), Screen()
        prepared = describe_model(profile, describe_game(profile.game))
        monkeypatch.setattr(train_module, "prepare", lambda *_: prepared)
        monkeypatch.setattr(train_module, "Supervisor", NoSupervisor)
        train_module.train(profile, RunDirectory(tmp_path / "run"), screen, serial=False)
        return screen.lines

    return lines


@pytest.mark.usefixtures("untouched")
def test_plan_prints_what_train_prints(profile, said_by_train, capsys):
    assert main(["plan", str(profile)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "model     470 parameters, 432 FLOP per root inference, 608 FLOP per recurrent one"
    assert lines == said_by_train(profile)


@pytest.mark.usefixtures("untouched")
def test_plan_takes_overrides(profile, capsys):
    assert main(["plan", str(profile), "--set", "network.value_prefix=true", "--set", "topology.actors=2"]) == 0
    out = capsys.readouterr().out
    assert "process   actor-1 " in out
    assert "608 FLOP per recurrent one" not in out


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("replay.capacity_bytes=1000000000000000", "memory: the run needs "),
        ("topology.trajectory_ring_slots=100000000", "/dev/shm: the run needs "),
        ("network.kind=residual", "network.kind='residual' needs square images"),
        ("network.hidden_size=3000000", "/dev/shm: the run needs "),
        ("network.downsample=none", "network.downsample='none': network.kind='mlp' has no convolutions"),
        ("game.name=Pnog", "game.name='Pnog': unknown game; did you mean Pong?"),
    ],
)
def test_plan_refuses_what_train_refuses(profile, capsys, override, text):
    assert main(["plan", str(profile), "--set", override]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"mzpipe plan: {text}")


@pytest.mark.usefixtures("untouched")
def test_plan_refuses_a_device_that_is_missing(profile, capsys):
    assert main(["plan", str(profile), "--set", "inference.devices=[99]"]) == 75
    assert capsys.readouterr().err.startswith("mzpipe plan: device 99: this machine has ")


@pytest.mark.usefixtures("untouched")
def test_plan_of_pods_says_what_their_links_carry(profile, capsys):
    assert main(["plan", str(profile), "--ray", "--set", "cluster.pods=2"]) == 0
    out = capsys.readouterr().out
    assert "pods      2, each on one node: 1 inference server, 1 actor, " in out
    assert "link      a transition takes" in out


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray"], "--ray: cluster.pods=0: set it to the number of pods"),
        (["--measured", "nonesuch"], "--measured: only with --ray"),
        (["--ray", "--set", "cluster.pods=1", "--measured", "nonesuch"], "--measured nonesuch: cannot be read"),
    ],
)
def test_plan_refuses_bad_choices_of_pods(profile, words, message, capsys):
    assert main(["plan", str(profile), *words]) == 2
    assert message in capsys.readouterr().err
