"""An engine as opponent: it is told every game as it was played, and each of its faults is one line."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mzpipe.config import BoardConfig, EvaluatorConfig, GameConfig
from mzpipe.errors import ConfigError, OpponentError
from mzpipe.evaluator.episodes import check_opponent
from mzpipe.evaluator.opponents import EngineOpponent
from mzpipe.games import describe_game, make_game
from mzpipe.own_code import allow_own_code

FAKE = Path(__file__).with_name("fake_engine.py")
GO = GameConfig(name="go", board=BoardConfig(size=5, komi=0.5))
CHESS = GameConfig(name="chess")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    allow_own_code(True)


def config_of(*faults, seconds=20.0, **fields):
    command = (sys.executable, str(FAKE), *faults)
    return EvaluatorConfig(opponent="engine", opponent_command=command, opponent_seconds=seconds, **fields)


@pytest.fixture
def made():
    """Opponents that are closed at the end."""
    opponents = []

    def make(game, config):
        opponents.append(EngineOpponent(config, game))
        return opponents[-1]

    yield make
    for opponent in opponents:
        opponent.close()


def play_out(game, opponent, moves):
    """Plays two games in turn: seat 0 takes the last legal action but passing, the engine replies."""
    game.reset()
    for _ in range(moves):
        for index in (0, 1):
            mask_B = np.arange(2) == index
            legal = np.flatnonzero(game.legal_actions()[index])
            game.step(np.full(2, legal[-2 if game.spec.name == "go" else -1]), mask_B)
            game.step(np.full(2, opponent.choose(game, index)), mask_B)


def test_gtp_engine_is_told_setup_board_and_each_game_and_its_moves_are_played(made, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(tmp_path / "heard"))
    game = make_game(GO, 2, 0)
    play_out(game, made(GO, config_of(opponent_setup=("level 3",))), 2)
    # OpenSpiel numbers points from the lowest row, as GTP does; the engine takes the first free one.
    assert [game.history(index)[1::2] for index in (0, 1)] == [[0, 1], [0, 1]]
    heard = (tmp_path / "heard").read_text().splitlines()
    assert heard[:4] == ["level 3", "boardsize 5", "komi 0.5", "clear_board"]
    second = ["clear_board", "play b E5", "play w A1", "play b D5", "genmove w"]
    assert heard[-5:] == second and heard.count("clear_board") == 3  # one position stood on both boards


def test_gtp_engine_plays_on_from_its_own_board_when_the_game_is_the_same(made, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(tmp_path / "heard"))
    game, opponent = make_game(GO, 1, 0), made(GO, config_of())
    game.reset()
    for place in (24, 23):
        game.step(np.array([place]))
        game.step(np.array([opponent.choose(game, 0)]))
    heard = (tmp_path / "heard").read_text().splitlines()
    assert heard[2:] == ["clear_board", "play b E5", "genmove w", "play b D5", "genmove w"]


def test_uci_engine_is_sent_the_whole_game_and_searches_the_given_nodes(made, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(tmp_path / "heard"))
    game = make_game(CHESS, 2, 0)
    play_out(
        game, made(CHESS, config_of(opponent_simulations=7, opponent_setup=("setoption name Threads value 1",))), 2
    )
    heard = (tmp_path / "heard").read_text().splitlines()
    assert heard[:4] == ["uci", "setoption name Threads value 1", "ucinewgame", "isready"]
    positions = [line for line in heard if line.startswith("position")]
    assert len(positions[-1].split()) == 3 + 3 and heard[-1] == "go nodes 7"


@pytest.mark.parametrize(
    ("game", "fault", "seconds", "text"),
    [
        (GO, "crash", 20.0, "it ended with exit code 3 instead of answering 'genmove b'"),
        (GO, "hang", 0.5, "it has not answered 'genmove b' within evaluator.opponent_seconds=0.5"),
        (GO, "megabyte", 20.0, "it answered 'genmove b' with a line of more than 65,536 bytes"),
        (CHESS, "chatter", 20.0, "it answered 'go nodes 100' with more than 100,000 lines"),
        (GO, "illegal", 20.0, "it answered 'genmove b' with 'Z99', which is illegal"),
        (GO, "resign", 20.0, "which is illegal: start it so that it plays games to their end"),
        (GO, "refuse", 20.0, "it answered 'genmove b' with '? no'"),
        (CHESS, "bad", 20.0, "it answered 'go nodes 100' with 'e9e9', which is illegal"),
    ],
)
def test_each_fault_of_an_engine_is_one_line_and_another_game_can_follow(made, game, fault, seconds, text):
    games, opponent = make_game(game, 1, 0), made(game, config_of(fault, seconds=seconds))
    games.reset()
    for _ in range(2):  # after the first failure it is closed, and starts again
        with pytest.raises(OpponentError) as caught:
            opponent.choose(games, 0)
        assert text in str(caught.value) and "\n" not in str(caught.value)
        opponent.close()


def test_an_engine_that_does_not_quit_is_killed(made):
    opponent = made(GO, config_of("hang", seconds=0.2))
    games = make_game(GO, 1, 0)
    games.reset()
    with pytest.raises(OpponentError):
        opponent.choose(games, 0)
    process = opponent._program._process
    opponent.close()
    assert process.returncode == -9


@pytest.mark.parametrize(
    ("game", "fields", "text"),
    [
        ("go", {"opponent": "engine"}, "an engine needs a command, and only an engine has one"),
        ("go", {"opponent_command": ("gnugo",)}, "an engine needs a command, and only an engine has one"),
        ("go", {"opponent": "engine", "opponent_command": ("no-such-engine",)}, "there is no such program"),
        ("tic_tac_toe", {"opponent": "engine", "opponent_command": ("x",)}, "tic_tac_toe can be played against"),
    ],
)
def test_an_engine_that_cannot_play_is_refused_at_the_start(game, fields, text):
    with pytest.raises(ConfigError) as caught:
        check_opponent(EvaluatorConfig(**fields), describe_game(GameConfig(name=game)))
    assert text in str(caught.value)


def test_a_program_is_not_run_without_permission():
    allow_own_code(False)
    with pytest.raises(ConfigError, match="this runs a program: give --allow-env-import"):
        check_opponent(config_of(), describe_game(GO))
