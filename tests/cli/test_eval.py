"""`mzpipe eval` of games for two: what it prints, writes and refuses."""

import json

import pytest

from mzpipe.cli.main import main
from tests.trained.runs import BOARD, make_run


@pytest.fixture
def board_run(tmp_path):
    return str(make_run(tmp_path / "run", *BOARD))


def test_a_match_is_printed_as_games_won_drawn_and_lost(board_run, tmp_path, capsys):
    path = tmp_path / "eval.json"
    assert main(["eval", board_run, "--opponent", "perfect", "--episodes", "6", "--json", str(path)]) == 0
    fields = json.loads(path.read_text())
    returns = fields["returns"]
    assert len(returns) == 6 and max(returns) <= 0.0
    lost, drawn = returns.count(-1.0), returns.count(0.0)
    assert f"won 0, drawn {drawn}, lost {lost} of 6 games, mean {sum(returns) / 6:.2f}" in capsys.readouterr().out
    assert fields["protocol"] == "greedy-versus-perfect"
    assert fields["protocol_settings"]["opponent"] == "perfect"


def test_episodes_with_several_leaves_in_flight_say_so(board_run, tmp_path):
    path = tmp_path / "eval.json"
    words = ["--opponent", "random", "--episodes", "2", "--simulations", "20", "--leaves", "4", "--json", str(path)]
    assert main(["eval", board_run, *words]) == 0
    fields = json.loads(path.read_text())
    assert (fields["num_simulations"], fields["leaves"], len(fields["returns"])) == (20, 4, 2)


def test_the_strength_of_tree_search_with_playouts_is_part_of_the_protocols_name(board_run, tmp_path):
    path = tmp_path / "eval.json"
    words = ["--opponent", "rollouts", "--opponent-simulations", "7", "--episodes", "2", "--json", str(path)]
    assert main(["eval", board_run, *words]) == 0
    assert json.loads(path.read_text())["protocol"] == "greedy-versus-rollouts-7"


def test_an_opponent_is_refused_where_there_is_one_player(tmp_path, capsys):
    assert main(["eval", str(make_run(tmp_path / "cartpole")), "--opponent", "random"]) == 2
    assert "--opponent random: CartPole-v1 has one player: leave it out" in capsys.readouterr().err


def test_an_opponent_that_the_game_does_not_have_is_refused(tmp_path, capsys):
    run = make_run(tmp_path / "run", *BOARD, "game.name=connect_four")
    assert main(["eval", str(run), "--opponent", "perfect"]) == 2
    message = "evaluator.opponent='perfect': connect_four can be played against random, rollouts only"
    assert message in capsys.readouterr().err


def test_playouts_are_refused_where_the_opponent_has_none(board_run, capsys):
    for words in (["--opponent", "random"], []):
        assert main(["eval", board_run, *words, "--opponent-simulations", "9"]) == 2
        message = "--opponent-simulations 9: the opponent is 'random', which has no playouts: add --opponent rollouts"
        assert message in capsys.readouterr().err


def test_an_unknown_opponent_is_refused(board_run, capsys):
    with pytest.raises(SystemExit):
        main(["eval", board_run, "--opponent", "grandmaster"])
    assert "invalid choice: 'grandmaster'" in capsys.readouterr().err
