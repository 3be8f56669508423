"""The command and its listener: on the loopback address only, gone with Ctrl-C; and what the command refuses."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil
import pytest

import mzpipe
from mzpipe.cli.main import main
from mzpipe.games.notation.position import FIRST
from mzpipe.trained.play.match import Match
from mzpipe.trained.play.web import serve
from mzpipe.trained.play.web.app import Games
from tests.trained.play.agents import RankedAgent, board_config
from tests.trained.runs import BOARD, CHECKPOINT, make_run

HOME = Path(mzpipe.__file__).parents[1]
COMMAND = (sys.executable, str(HOME / "bin" / "mzpipe"), "play")


@pytest.fixture
def board(tmp_path):
    return make_run(tmp_path / "board", *BOARD)


@pytest.fixture
def refused(capsys):
    """Runs a `play` that is refused; returns the one line that it prints."""

    def play(*words, code=2):
        assert main(["play", *map(str, words)]) == code
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("mzpipe play: ")

    return play


def listeners(port):
    """Local addresses that are listened to on the port."""
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    return [each.laddr.ip for each in listening if each.laddr.port == port]


@pytest.mark.slow
def test_page_listens_on_the_loopback_address_only_and_leaves_nothing_behind_at_ctrl_c(board):
    process = subprocess.Popen(
        [*COMMAND, str(board), "--web"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
        assert listeners(port) == ["127.0.0.1"]
        with socket.create_connection(("127.0.0.1", port), timeout=100.0) as silent:
            assert silent.getpeername()[1] == port  # a connection that asks nothing holds up neither others nor the end
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=250)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert said == ""
    assert listeners(port) == []


class InterruptedAgent(RankedAgent):
    """Presses Ctrl-C while it thinks, and still thinks after the listener has closed."""

    finished = False

    def consider(self, history):
        os.kill(os.getpid(), signal.SIGINT)
        while listeners(self.port):
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)
        self.finished = True
        return super().consider(history)


@pytest.mark.slow
def test_ctrl_c_lets_a_search_under_way_end():
    config = board_config("tic_tac_toe")
    agent = InterruptedAgent(config)
    games = Games(lambda seat: Match(config, agent, seat))
    name = games.open(FIRST)

    asked = []

    def play(address):
        agent.port = urlsplit(address).port
        asked.append(HTTPConnection("127.0.0.1", agent.port, timeout=100.0))
        form, kind = urlencode({"action": 4, "ply": 0}), {"Content-Type": "application/x-www-form-urlencoded"}
        asked[0].request("POST", f"/games/{name}/moves", form, kind)

    with pytest.raises(KeyboardInterrupt):
        serve(games, "a game", 0, play)
    assert agent.finished
    assert asked[0].getresponse().status == 303
    asked[0].close()


@pytest.mark.slow
def test_half_a_form_holds_up_neither_other_pages_nor_the_end():
    config = board_config("tic_tac_toe")
    games = Games(lambda seat: Match(config, RankedAgent(config), seat))
    name, answers = games.open(FIRST), []

    def look(port):
        head = f"POST /games/{name}/moves HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100\r\n"
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\naction=".encode())
            other = HTTPConnection("127.0.0.1", port, timeout=20.0)
            with contextlib.suppress(TimeoutError):
                other.request("GET", f"/games/{name}")
                answers.append(other.getresponse().status)
            other.close()
            os.kill(os.getpid(), signal.SIGINT)
            if answers:
                ended.wait(100.0)

    ended = threading.Event()
    looking = []

    def announce(address):
        looking.append(threading.Thread(target=look, args=(urlsplit(address).port,)))
        looking[0].start()

    with pytest.raises(KeyboardInterrupt):
        serve(games, "a game", 0, announce)
    ended.set()
    looking[0].join()
    assert answers == [200]


@pytest.mark.slow
def test_terminal_plays_from_a_pipe_and_ends_with_it(board):
    played = subprocess.run(
        [*COMMAND, str(board), "--simulations", "3"],
        input=b"?\n\xff\x1b[2J\nx(1,1)\n",
        capture_output=True,
        timeout=250,
    )
    assert (played.returncode, played.stderr) == (0, b"")
    said = played.stdout.decode()
    assert f"tic_tac_toe against board, {CHECKPOINT}, 3 simulations per move" in said
    assert "is not a legal move" in said
    assert "\x1b" not in said
    assert "the agent (o) played o(" in said


def test_terminal_without_any_input_shows_the_board_and_ends(board, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", None)  # as Python sets it when the input is closed
    assert main(["play", str(board), "--simulations", "3"]) == 0
    said, wrong = capsys.readouterr()
    assert "your move as x: " in said
    assert wrong == ""


def test_port_in_use_is_refused(board, refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(board, "--web", "--port", port) == (
            f"--port {port}: in use by another program: give another one, or 0 for any"
        )


def test_directory_without_a_run_and_run_without_checkpoints_are_refused(tmp_path, board, refused):
    assert "no run here" in refused(tmp_path)
    for pointer in (board / "checkpoints").iterdir():
        pointer.rename(tmp_path / pointer.name)
    assert "checkpoint" in refused(board, code=74)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--port", "8000"), "--port 8000 is for the page: add --web"),
        (("--advice",), "--advice is for one-player games, tic_tac_toe has two players: leave it out"),
        (("--seed", "0"), "--seed is for one-player games, tic_tac_toe has two players: leave it out"),
    ],
)
def test_arguments_that_mean_nothing_on_a_board_are_refused(board, refused, words, line):
    assert refused(board, *words) == line


@pytest.mark.parametrize("words", [("--web",), ("--first",), ("--second",), ("--port", "0")])
def test_arguments_of_boards_are_refused_for_a_game_of_one_player(tmp_path, refused, words):
    line = refused(make_run(tmp_path / "cartpole"), *words)
    assert line.startswith("--")
    assert line.endswith(
        "is for board games, CartPole-v1 has one player: leave it out, and play by keyboard in a window"
    )


def test_game_of_one_player_without_a_display_is_refused(tmp_path, refused, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    line = refused(make_run(tmp_path / "cartpole"))
    assert line.startswith("CartPole-v1 of cartpole")
    assert "there is no display here" in line
    assert line.endswith("mzpipe record RUN")


def test_display_that_does_not_answer_is_refused(tmp_path, refused, monkeypatch):
    for name in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", "nowhere.invalid:7")
    # If it were not refused, no person would see the game, or end it.
    monkeypatch.setattr("mzpipe.trained.play.keyboard._show", lambda *_: pytest.fail("it is played"))
    line = refused(make_run(tmp_path / "cartpole"))
    assert "there is no display here" in line
    assert line.endswith("mzpipe record RUN")


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_port_out_of_range_is_refused(board, port, capsys):
    with pytest.raises(SystemExit) as left:
        main(["play", str(board), "--web", "--port", port])
    assert left.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_ctrl_c_before_the_page_is_served_ends_it_all_the_same(monkeypatch):
    def interrupted(thread):
        signal.raise_signal(signal.SIGINT)
        start(thread)

    start, before = threading.Thread.start, threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve(Games(None), "a game", 0, lambda address: None)
    assert threading.active_count() <= before
