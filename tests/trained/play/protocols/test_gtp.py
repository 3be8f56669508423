"""GTP as a controller sees it: answers, vertices, turns, and what is refused without changing the game."""

import io

import pytest

from mzpipe.errors import UsageError
from mzpipe.trained.play.protocols import LONGEST_LINE, serve
from mzpipe.trained.play.protocols.gtp import GtpEngine, area_lead
from tests.trained.play.agents import RankedAgent, board_config


def new_engine(name, *overrides, answers=()):
    config = board_config(name, *overrides)
    return GtpEngine(config, RankedAgent(config, answers), "a-run")


def typed(engine, *lines):
    """The answers to these lines, without the empty lines."""
    out = io.StringIO()
    serve(engine, io.BytesIO("\n".join([*lines, ""]).encode()), out)
    return out.getvalue().replace("\n\n", "\n").splitlines()


def test_engine_introduces_itself_and_ends():
    engine = new_engine("go")
    answers = typed(
        engine, "1 protocol_version", "2 name", "known_command genmove", "known_command fly", "quit", "name"
    )
    assert answers == ["=1 2", "=2 mzpipe", "= true", "= false", "="]
    assert engine.has_quit


def test_every_listed_command_is_known():
    engine = new_engine("go")
    listed = engine.answer("list_commands")[0].removeprefix("= ").split("\n")
    assert {engine.answer(f"known_command {name}")[0] for name in listed} == {"= true"}
    assert {"play", "genmove", "undo", "boardsize", "clear_board", "komi", "showboard"} <= set(listed)


@pytest.mark.parametrize(
    ("name", "vertex", "action"),
    [
        ("go", "A1", 0),
        ("go", "E5", 24),
        ("gomoku", "J9", 8),  # without I, counted from the bottom: OpenSpiel's first row is at the top
        ("gomoku", "a1", 72),
        ("othello", "F5", 37),
        ("hex", "c2", 7),
    ],
)
def test_vertices_are_the_places_of_the_games_own_convention(name, vertex, action):
    engine = new_engine(name)
    assert typed(engine, f"play black {vertex}") == ["="]
    agent = engine._agent
    typed(engine, "reg_genmove white")
    assert agent.histories == [[action]]


def test_moves_of_the_agent_are_played():
    engine = new_engine("go", answers=["B c3", "W PASS"])
    assert typed(engine, "genmove b", "play w D4", "undo", "genmove white", "genmove b") == [
        "= C3",
        "=",
        "=",
        "= pass",
        "= A1",
    ]


def test_player_who_moves_twice_lets_the_other_pass():
    engine = new_engine("go")
    assert typed(engine, "play b C3", "play b D3", "play w E3") == ["=", "=", "="]
    typed(engine, "reg_genmove b")
    assert engine._agent.histories[-1] == [12, 25, 13, 14]
    hexed = new_engine("hex")
    assert typed(hexed, "play b a1", "play b b1") == ["=", "? illegal move: it is white's turn, who cannot pass"]


def test_two_passes_end_go_and_its_area_is_scored():
    engine = new_engine("go", "game.board.komi=0.5")
    assert typed(engine, "play b C3", "play w pass", "play b pass", "genmove w") == ["=", "=", "=", "= pass"]
    assert typed(engine, "final_score") == ["= B+24.5"]


def test_area_counts_stones_and_the_places_that_only_one_colour_reaches():
    engine = new_engine("go", "game.board.komi=0.5")
    for ply, vertex in enumerate(["A3", "A4", "B3", "B4", "C3", "C4", "D3", "D4", "E3", "E4"]):
        typed(engine, f"play {'bw'[ply % 2]} {vertex}")
    assert area_lead(engine._position.board()) == 15 - 10
    assert typed(engine, "final_score") == ["= B+4.5"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("7 fly", "?7 unknown command"),
        ("play b", "? syntax error: play with 1 arguments"),
        ("play red A1", "? syntax error: 'red' is neither black nor white"),
        ("play b Z9", "? illegal move"),
        ("play b C3", "? illegal move"),
        ("boardsize 19", "? unacceptable size: this agent plays on 5x5"),
        ("boardsize five", "? unacceptable size: this agent plays on 5x5"),
        ("komi 5.5", "? unacceptable komi 5.5: this agent was trained with 7.5"),
        ("komi much", "? syntax error: 'much' is no number"),
    ],
)
def test_what_is_refused_changes_nothing(line, answer):
    engine = new_engine("go")
    typed(engine, "play b C3", "play w D3")
    assert typed(engine, line) == [answer]
    assert engine._position.history == [12, 13]


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "\x07\x01", "\xff\xfe"])
def test_lines_without_a_command_get_no_answer(line):
    assert typed(new_engine("go"), line, "name # mine") in (["= mzpipe"], ["? unknown command", "= mzpipe"])


def test_a_megabyte_without_an_end_is_one_error():
    engine, out = new_engine("go"), io.StringIO()
    serve(engine, io.BytesIO(b"x" * (1 << 20) + b"\nname\n" + b"y" * (LONGEST_LINE + 1)), out)
    assert out.getvalue() == "? the line is too long\n\n= mzpipe\n\n? the line is too long\n\n"


def test_undo_at_the_beginning_is_refused():
    assert typed(new_engine("hex"), "undo") == ["? cannot undo"]


def test_board_is_drawn_and_the_record_has_its_moves():
    engine = new_engine("go")
    typed(engine, "play b C3", "play w pass")
    board = engine.answer("showboard")[0]
    assert "a  b  c  d  e" in board and board.count("x") == 1
    assert typed(engine, "printsgf") == ["= (;FF[4]GM[1]CA[UTF-8]AP[mzpipe]SZ[5]KM[7.5];B[cc];W[])"]


def test_games_without_vertices_are_refused():
    config = board_config("chess")
    with pytest.raises(UsageError, match="chess: GTP is for gomoku, othello, hex, go"):
        GtpEngine(config, RankedAgent(config), "a-run")


def test_the_agent_is_told_how_long_it_may_think():
    engine = new_engine("go")
    lines = ["genmove b", "time_settings 0 50 10", "genmove w", "time_left b 2 2", "genmove b", "time_settings 0 1 0"]
    answers = typed(engine, *lines, "genmove w")
    assert [answer[0] for answer in answers] == ["="] * 7
    assert engine._agent.limits == [None, pytest.approx(4.97), pytest.approx(0.97), None]


@pytest.mark.parametrize(
    "words", ["time_settings 1 x 1", "time_settings -1 1 1", "time_left b inf 0", "time_left c 1 0"]
)
def test_a_time_that_is_none_is_refused(words):
    assert typed(new_engine("go"), words)[0].startswith("? syntax error: ")
