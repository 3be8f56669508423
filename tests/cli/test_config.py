"""`mzpipe config` and `mzpipe profiles`."""

import json

import pytest

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode


def test_config_explains_a_setting_and_says_which_profiles_set_it(capsys):
    assert main(["config", "replay.samples_per_insert"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "replay.samples_per_insert = 32.0  (number above 0)"
    assert lines[1] == "How often each transition is trained on, on average."
    assert any(line.startswith("4.0: ") and "atari-pong-cpu" in line for line in lines[2:])
    assert not any(line.startswith("32.0:") for line in lines)


def test_config_lists_the_settings_of_a_section(capsys):
    assert main(["config", "game.minatar"]) == 0
    output = capsys.readouterr().out
    assert "game.minatar.sticky_actions = 0.1  (number from 0 to 1)" in output
    assert "game.minatar.difficulty_ramping = true  (true or false)" in output


def test_config_shows_what_stands_in_brackets(capsys):
    assert main(["config", "game.protocol"]) == 0
    assert "[game.atari]" in capsys.readouterr().out


def test_config_lists_sections_when_nothing_is_named(capsys):
    assert main(["config"]) == 0
    output = capsys.readouterr().out
    assert all(f" {section} " in output for section in ("game.atari", "search", "learner", "telemetry"))


def test_config_shows_where_two_profiles_differ(capsys):
    assert main(["config", "--diff", "cartpole", "cartpole-reanalyze"]) == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["reanalyze.fraction", "0.0", "0.8"] in rows
    assert not any(row and row[0] == "game.name" for row in rows)


def test_config_writes_the_schema(capsys):
    assert main(["config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["learner.batchsize"], "learner.batchsize: no such setting; did you mean learner.batch_size?"),
        (["lerner"], "lerner: no such setting; did you mean learner?"),
        (["--diff", "cartpole", "cartpol"], "cartpol: no such profile; did you mean cartpole?"),
    ],
)
def test_config_refuses_other_names_in_one_line(words, message, capsys):
    assert main(["config", *words]) == ExitCode.USAGE
    assert capsys.readouterr().err == f"mzpipe config: {message}\n"


def test_profiles_lists_every_shipped_profile_with_game_and_score(capsys):
    assert main(["profiles"]) == 0
    output = capsys.readouterr().out
    assert "│ cartpole " in output and "CartPole-v1" in output and "loses no line" in output
    assert "not trained" in output
