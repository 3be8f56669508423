"""`mzpipe play RUN --engine` and `--save` as typed: what other programs get on standard output, and what is refused."""

import subprocess

import pytest

from mzpipe.cli.main import main
from tests.trained.play.test_server import COMMAND
from tests.trained.runs import BOARD, make_run

GO = ("game.name=go", "game.board.size=5", *BOARD[1:], "network.action_encoding=board")


@pytest.fixture(scope="module")
def go_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "go", *GO)


@pytest.mark.slow
def test_standard_output_holds_the_protocol_and_nothing_else(go_run):
    done = subprocess.run(
        [*COMMAND, str(go_run), "--engine", "gtp", "--simulations", "2"],
        input="1 version\n2 genmove b\n3 play w pass\n4 quit\n",
        capture_output=True,
        text=True,
        timeout=250,
    )
    first, second, third, fourth, rest = done.stdout.split("\n\n")
    assert (done.returncode, done.stderr, rest) == (0, "", "")
    assert first.startswith("=1 ") and first.endswith(" go") and (third, fourth) == ("=3", "=4")
    assert second.startswith("=2 ") and len(second.split()[1]) in (2, 4)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--engine", "uci"], "go: UCI is for chess, USI for shogi"),
        (["--engine", "gtp", "--web"], "--engine gtp takes only --checkpoint, --simulations"),
        (["--engine", "gtp", "--simulations", "8", "--leaves", "9"], "leaves=9 must be at least 1 and at most num_sim"),
        (["--web", "--save", "a.sgf"], "--save a.sgf is for games in the terminal: leave out --web"),
        (["--save", "/nowhere/a.sgf"], "--save /nowhere/a.sgf"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(words, text, go_run, capsys):
    assert main(["play", str(go_run), *words]) in (2, 74)
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


@pytest.mark.slow
def test_game_in_the_terminal_is_saved(go_run, tmp_path):
    saved = tmp_path / "game.sgf"
    subprocess.run(
        [*COMMAND, str(go_run), "--simulations", "2", "--save", str(saved)],
        input="B c3\n",
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    assert saved.read_text().startswith("(;FF[4]GM[1]") and ";B[cc];W[" in saved.read_text()
