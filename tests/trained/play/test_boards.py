"""What a board shows and where moves begin and end, against OpenSpiel's own words."""

import random

import pytest

from mzpipe.games.board import BoardGame
from mzpipe.games.notation.board import Piece, read_board
from mzpipe.games.notation.moves import legal_moves
from mzpipe.games.notation.styles import STYLES, Place
from mzpipe.trained.play.terminal import draw_board
from tests.trained.play.agents import board_config

GAMES = sorted(STYLES)


def after(name, *words):
    """The state after OpenSpiel's moves."""
    state = BoardGame(board_config(name), 1).states[0]
    for word in words:
        state.apply_action(state.string_to_action(word))
    return state


def drawn(name, *words, marked=()):
    state = after(name, *words)
    return draw_board(read_board(name, state), STYLES[name], marked, glyphs=False).plain.split("\n")


def named(name, state):
    return {move.name: move for move in legal_moves(name, state, read_board(name, state))}


@pytest.mark.parametrize("name", GAMES)
def test_moves_carry_openspiels_names_and_change_the_place_where_they_end(name):
    draw = random.Random(3)
    state = BoardGame(board_config(name), 1).states[0]
    for _ in range(60):
        if state.is_terminal():
            break
        board = read_board(name, state)
        moves = legal_moves(name, state, board)
        assert [move.action for move in moves] == state.legal_actions()
        move, seat = draw.choice(moves), state.move_number() % 2
        assert move.name == state.action_to_string(move.action)
        state.apply_action(move.action)
        after_it = read_board(name, state).pieces
        if move.target is not None:
            assert after_it[move.target].seat == seat
        if isinstance(move.source, Place):
            assert board.pieces[move.source].seat == seat
            assert move.source not in after_it
        if isinstance(move.source, str):
            assert board.hands[Piece(seat, move.source)] >= 1


def test_terminal_boards_read_as_openspiel_labels_them():
    assert drawn("tic_tac_toe", "x(0,1)", "o(2,2)", marked=[Place(2, 2)]) == [
        "   0  1  2 ",
        "0  .  x  . ",
        "1  .  .  . ",
        "2  .  . [o]",
    ]
    assert drawn("connect_four", "x3", "o3", "x6")[-3:] == [
        "  .  .  .  o  .  .  . ",
        "  .  .  .  x  .  .  x ",
        "  0  1  2  3  4  5  6 ",
    ]
    assert drawn("go", "B b1", "W e5") == [
        "5  .  .  .  .  o ",
        "4  .  .  .  .  . ",
        "3  .  .  .  .  . ",
        "2  .  .  .  .  . ",
        "1  .  x  .  .  . ",
        "   a  b  c  d  e ",
    ]
    assert drawn("gomoku", "1,0")[2].startswith("1  x  . ")
    assert drawn("othello", "d3")[3] == "3  .  .  .  x  .  .  .  . "


def test_hex_leans_to_the_right_row_by_row():
    lines = drawn("hex", "a1", "b2")
    assert lines[1].startswith("1  x ")
    assert lines[2].startswith("  2  .   o ")
    assert lines[3].startswith("    3  . ")


def test_chess_pieces_are_letters_on_the_squares_that_their_moves_name():
    lines = drawn("chess", "e4", "Nc6", marked=[Place(0, 1), Place(2, 2)])
    assert lines[0] == "8  r [.] b  q  k  b  n  r "
    assert lines[2] == "6  .  . [n] .  .  .  .  . "
    assert lines[4] == "4  .  .  .  .  P  .  .  . "
    assert lines[-1] == "   a  b  c  d  e  f  g  h "


def test_castling_moves_the_king_two_squares_on_either_side():
    state = after("chess", "e4", "e5", "Nf3", "Nf6", "Bc4", "Bc5")
    white = named("chess", state)["O-O"]
    assert (white.source, white.target) == (Place(7, 4), Place(7, 6))
    black = named("chess", after("chess", "e4", "e5", "Nf3", "Nf6", "Bc4", "Bc5", "O-O"))["O-O"]
    assert (black.source, black.target) == (Place(0, 4), Place(0, 6))


def test_shogi_shows_promoted_and_held_pieces_and_drops_them():
    state = after("shogi", "7g7f", "3c3d", "8h2b+")
    board = read_board("shogi", state)
    assert board.pieces[Place(1, 7)] == Piece(0, "+B")
    assert board.hands == {Piece(0, "B"): 1}
    lines = drawn("shogi", "7g7f", "3c3d", "8h2b+", "3a2b", "B*5e", marked=[Place(1, 7)])
    assert lines[2].startswith("b  .  r  .  .  .  .  . [s]")
    assert lines[-2:] == ["Black holds nothing", "White holds B x1"]
    drop = named("shogi", after("shogi", "7g7f", "3c3d", "8h2b+", "3a2b"))["B*5e"]
    assert (drop.source, drop.target) == ("B", Place(4, 4))


def test_a_pass_has_no_place():
    state = after("go", "B a1")
    assert named("go", state)["W PASS"].target is None
