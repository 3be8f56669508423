"""`mzpipe check-network`: rows, exit codes, and which check finds which fault."""

import re

import pytest

from mzpipe.cli.main import main
from mzpipe.config import load_profile
from mzpipe.measure.network import check_network, speed
from mzpipe.own_code import allow_own_code
from tests.nets import own_networks
from tests.tiny import _PROFILE, tiny_profile
from tests.trained.runs import make_run

FAULTY = "tests.nets.own_networks:Faulty"


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.setattr(speed, "_TURNS", 1)
    monkeypatch.setattr(speed, "_TURN_S", 0.0)
    monkeypatch.setitem(own_networks.CALLS, "representation", 0)


def checks_of(*overrides, network=FAULTY, **arguments):
    given = [f"network.arguments.{key}={value!r}" for key, value in arguments.items()]
    profile = tiny_profile(f"network.kind={network}", "network.hidden_size=64", *given, *overrides)
    return {check.name: check for check in check_network(profile)}


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("network.arguments.axes=2", "network.consistency=true", "network.heads=scalar"),
        ("network.arguments.axes=3", "network.state_scaling=none", "learner.average_decay=0.9"),
    ],
)
def test_a_sound_network_passes_every_check(overrides):
    checks = checks_of(*overrides, network="tests.nets.own_networks:Plain")
    assert [check for check in checks.values() if check.passed is False] == []
    assert checks["gradients"].text.startswith("reach all ")
    assert checks["folded"].text == "2 of 2 batch normalisations"
    assert checks["CPU runtimes"].text == "onnxruntime and openvino answer as torch does"
    assert checks["CUDA graphs"].text.startswith("nothing in it waits")
    assert re.search(r"^3 recurrent ones: .* ms in torch, .* times as long as mzpipe's mlp", checks["inference"].text)
    assert " times as long as mzpipe's mlp of default size" in checks["training"].text
    assert "parameters" in checks["cost"].text


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        ("unsteady", "repeats", "the hidden state differs when the same is asked again"),
        ("mixed rows", "rows", "of a row changes by .* in the batch: each row must be computed from its own"),
        ("in training", "shapes", "its representation raised ValueError: Expected more than 1 value per channel"),
        ("nan", "finite", "the hidden state is not finite after 0 actions from observations that are all 0"),
        ("overwrites", "inputs", "its dynamics writes into its input: write into a copy"),
        ("drawn constant", "published", "of a second model with published weights is another"),
        ("detached", "gradients", "no gradient reaches representation.own.inner"),
        ("constant", "states", r"every observation has the same hidden state \(a constant\)"),
        ("later", "published", r"its representation raised RuntimeError: the tenth hour"),
        ("exits", "network", r"Faulty: its prediction called sys.exit\(5\)"),
    ],
)
def test_a_fault_is_found_by_the_check_of_its_promise(fault, name, said):
    checks = checks_of(fault=fault)
    failed = [check for check in checks.values() if check.passed is False]
    assert re.search(said, checks[name].text), failed
    assert not checks[name].passed
    assert all("\n" not in check.text for check in failed)
    assert "inference" not in checks


@pytest.mark.parametrize(
    ("arguments", "name", "said"),
    [
        (
            {"fault": "bent"},
            "CPU runtimes",
            "^torch runs it on CPUs, too; onnxruntime is not used: .* answers otherwise",
        ),
        (
            {"fault": "bent"},
            "ONNX export",
            "^`export --onnx` refuses it: .* exported, it answers otherwise than its code",
        ),
        ({"fault": "item"}, "CUDA graphs", r"^the host waits for .* \(own_networks.py, line \d+\): no CUDA graph can"),
    ],
)
def test_what_only_works_in_another_way_is_a_remark(arguments, name, said):
    check = checks_of(**arguments)[name]
    assert check.passed is None
    assert re.search(said, check.text), check.text


def test_an_action_without_effect_is_found():
    checks = checks_of(network="tests.nets.own_networks:Deaf")
    assert "every action has the same reward and the same next state" in checks["states"].text


def test_a_state_of_one_number_is_found_to_be_scaled_away():
    checks = checks_of(network="tests.nets.own_networks:Plain", width=1)
    assert checks["states"].text == "every observation has the same hidden state (one number is always scaled to 0)"


def test_mzpipes_own_networks_pass():
    checks = {check.name: check for check in check_network(load_profile("tictactoe"))}
    assert [check for check in checks.values() if check.passed is False] == []
    assert "times as long" not in checks["training"].text


def test_verb_prints_a_row_per_check_and_ends_with_0_or_2(tmp_path, capsys):
    profile = tmp_path / "own.toml"
    profile.write_text(_PROFILE.replace("hidden_size = 8", f'kind = "{FAULTY}"'))
    assert main(["check-network", str(profile), "--allow-env-import"]) == 0
    out = capsys.readouterr().out
    assert "all is right" in out
    assert "ok    gradients" in out
    with_fault = ["--set", "network.arguments={ fault = 'constructor' }"]
    assert main(["check-network", str(profile), "--allow-env-import", *with_fault]) == 2
    assert "its constructor raised RuntimeError: no memory of it" in " ".join(capsys.readouterr().out.split())
    assert main(["check-network", str(profile)]) == 2
    assert "this imports code: give --allow-env-import" in " ".join(capsys.readouterr().out.split())


def test_verb_tries_the_latest_checkpoint_of_a_run(tmp_path, capsys):
    run = make_run(tmp_path / "run", f"network.kind={FAULTY}", "network.hidden_size=64")
    assert main(["check-network", str(run), "--allow-env-import"]) == 0
    assert "has the tensors of this code" in " ".join(capsys.readouterr().out.split())
    wider = ["--set", "network.arguments={ width = 9 }"]
    assert main(["check-network", str(run), "--allow-env-import", *wider]) == 2
    assert "checkpoint of another model: representation.own.1.weight is" in " ".join(capsys.readouterr().out.split())
    allow_own_code(False)


def test_the_example_is_sound(capsys):
    assert main(["check-network", "examples/own_network.toml", "--allow-env-import"]) == 0
    assert "onnxruntime and openvino answer as torch does" in " ".join(capsys.readouterr().out.split())
