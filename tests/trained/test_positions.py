"""Positions of known value: the file, what is made of it, and the command."""

import json

import pytest

from mzpipe.cli.main import main
from mzpipe.errors import UsageError
from mzpipe.trained.player import Player
from mzpipe.trained.positions import Examined, Position, examine, load_positions, summarise
from tests.trained.runs import BOARD, make_run

# Tic-tac-toe: two positions in which the player to move wins on 2, and the empty board, a draw whatever is played.
LINES = ["moves,value,keeping", "0 3 1 4,1,2", "3 0 4 1 8,1,2", ",0,0 1 2 3 4 5 6 7 8"]


@pytest.fixture
def board(tmp_path):
    return make_run(tmp_path / "board", *BOARD)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "positions.csv"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_a_file_is_read_line_by_line(file):
    assert load_positions(file) == [
        Position((0, 3, 1, 4), 1.0, frozenset({2})),
        Position((3, 0, 4, 1, 8), 1.0, frozenset({2})),
        Position((), 0.0, frozenset(range(9))),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a file of positions: no header 'moves,value,keeping'"),
        ("moves,value\n", "no header"),
        ("moves,value,keeping\n", "nothing after it"),
        ("moves,value,keeping\n0 1,1,2\n0 x,1,2\n", "line 3: '0 x,1,2': moves, a value, and the actions that keep it"),
        ("moves,value,keeping\n0 1,1\n", "line 2: '0 1,1': moves, a value"),
        ("moves,value,keeping\n0 1,high,2\n", "line 2: '0 1,high,2'"),
        ("moves,value,keeping\n0 1,nan,2\n", "line 2: '0 1,nan,2': at least one action keeps the value"),
        ("moves,value,keeping\n0 1,1,\n", "line 2: '0 1,1,': at least one action"),
    ],
)
def test_what_is_no_file_of_positions_is_refused(file, text, complaint):
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_positions(file)
    assert complaint in str(error.value) and str(file) in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path, complaint in [("none", "No such file"), (".", "Is a directory"), ("bytes", "not a file of positions")]:
        with pytest.raises(UsageError, match=complaint):
            load_positions(tmp_path / path)


def test_examined_positions_hold_what_the_player_would_do(board, file):
    player = Player.load(board, num_simulations=200)
    positions = load_positions(file)
    examined = examine(player, positions)
    for position, one in zip(positions, examined, strict=True):
        decision = player.consider(position.moves)
        assert one == Examined(
            position, decision.action, decision.value, decision.network_value, 9 - len(position.moves)
        )
    assert examined[2].kept, "every action keeps a draw on an empty board"


@pytest.mark.parametrize(
    ("moves", "keeping", "complaint"),
    [
        ((0, 3), {0}, r"position 2: keeping has \[0\], which is illegal there"),
        ((0, 0), {1}, "position 2: history: ply 2, action 0 is illegal there"),
        ((0, 3, 1, 4, 2), {5}, "position 2: history: the game is over after its 5 actions"),
    ],
)
def test_positions_that_the_game_does_not_know_are_refused(board, moves, keeping, complaint):
    with pytest.raises(UsageError, match=complaint):
        examine(Player.load(board), [Position((), 0.0, frozenset({0})), Position(moves, 0.0, frozenset(keeping))])


def test_means_are_those_worked_by_hand():
    won, lost = Position((0,), 1.0, frozenset({2})), Position((1,), -1.0, frozenset({3, 4}))
    summary = summarise(
        [Examined(won, 2, 0.5, 0.0, 4), Examined(lost, 5, 0.0, -0.75, 8), Examined(lost, 3, -1.0, -1.0, 2)]
    )
    assert summary._asdict() == {
        "positions": 3,
        "with_a_choice": 2,
        "kept": 0.5,
        "kept_at_random": (1 / 4 + 2 / 8) / 2,
        "value_error": (0.5 + 1.0) / 3,
        "network_value_error": (1.0 + 0.25) / 3,
    }


def test_the_command_prints_means_by_length_and_writes_every_position(board, file, tmp_path, capsys):
    json_file = tmp_path / "out.json"
    assert main(["positions", str(board), str(file), "--simulations", "20", "--json", str(json_file)]) == 0
    text = capsys.readouterr().out
    assert "step_00000030 (300 env steps), 20 simulations per move" in text
    rows = [line.split() for line in text.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["0", "1", "0"], ["4", "1", "1"], ["5", "1", "1"], ["all", "3", "2"]]
    assert len(rows[0]) == 5, "no shares of no choice"
    assert rows[1][4] == "20%", "one of five actions"
    fields = json.loads(json_file.read_text())
    assert [row["keeping"] for row in fields["positions"]] == [[2], [2], list(range(9))]
    assert fields["means"]["positions"] == 3 and fields["num_simulations"] == 20


def test_the_command_refuses_in_one_line(tmp_path, file, board, capsys):
    assert main(["positions", str(tmp_path / "nothing"), str(file)]) == 2
    assert main(["positions", str(board), str(tmp_path / "nothing.csv")]) == 2
    assert main(["positions", str(make_run(tmp_path / "cart")), str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "no run here" in lines[0] and "nothing.csv: cannot be read" in lines[1]
    assert "CartPole-v1 has one player" in lines[2]
