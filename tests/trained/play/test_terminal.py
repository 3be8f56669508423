"""A match line by line: every line is answered in one, and the match ends with the input."""

import io

import pytest
from rich.console import Console

from mzpipe.errors import UsageError
from mzpipe.games.notation.moves import Move
from mzpipe.trained.play.terminal import find_move, play_in_terminal
from tests.trained.play.agents import new_match


def played(*lines, name="tic_tac_toe", person=0):
    """The answers to these lines."""
    console = Console(file=io.StringIO(), width=80, highlight=False)
    match = new_match(name, person)
    play_in_terminal(match, [f"{line}\n" for line in lines], console)
    return match, console.file.getvalue()


def test_whole_game_is_played_to_its_verdict():
    match, said = played("x(1,1)", "x(0,2)", "x(2,0)", "x(9,9)")
    assert match.is_over
    assert said.endswith("the game is over: you win as x\n")
    assert "1  .  x  . " in said
    assert "2 [x] .  . " in said


def test_agents_move_stands_in_brackets_with_what_it_thought():
    _, said = played("x(1,1)")
    assert "0 [o] .  . " in said
    assert "the agent (o) played o(0,0); it expects +0.25" in said
    assert "o(0,1)       3  ######          30%  -0.50" in said


def test_question_mark_lists_the_legal_moves():
    _, said = played("x(1,1)", "?")
    assert "x(0,1) x(0,2) x(1,0) x(1,2) x(2,0) x(2,1) x(2,2)\n" in said


def test_taking_back_shows_the_board_as_it_was():
    match, said = played("x(1,1)", "u", "u")
    assert match.history == []
    assert said.count("1  .  .  . ") == 2
    assert "there is no move of yours to take back" in said


@pytest.mark.parametrize("word", ["x(9,9)", "e4", "X", "[bold]", "x(1,1) x(1,1)", "x" * 300])
def test_illegal_move_is_answered_in_one_line_and_asked_again(word):
    match, said = played(word)
    assert match.history == []
    (line,) = [line for line in said.splitlines() if "is not a legal move" in line]
    assert line.startswith(f"your move as x: {word[:40]!r} is not a legal move: ? lists the 9 there are")
    assert said.count("your move as x: ") == 2


@pytest.mark.parametrize("lines", [(), ("q",), ("", "q", "x(1,1)")])
def test_leaving_and_the_end_of_input_leave_the_game_as_it_is(lines):
    match, said = played(*lines)
    assert match.history == []
    assert "the game is over" not in said
    assert "Traceback" not in said


def test_person_who_is_second_sees_the_agents_first_move():
    _, said = played(person=1)
    assert "the agent (x) played x(0,0)" in said
    assert "your move as o: " in said


def test_hex_says_what_each_player_connects():
    _, said = played(name="hex")
    assert "your move as x, from top to bottom: " in said


def test_upper_and_lower_case_may_be_exchanged_unless_two_moves_differ_in_it_alone():
    moves = [Move(0, "bxc3", None), Move(1, "Bxc3", None), Move(2, "Nf3", None)]
    assert find_move(moves, "nf3").action == 2
    assert find_move(moves, "bxc3").action == 0
    with pytest.raises(UsageError, match="'BXC3' is not a legal move"):
        find_move(moves, "BXC3")
