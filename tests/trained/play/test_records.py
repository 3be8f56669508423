"""SGF and PGN: what other programs read of a game."""

import pytest

from mzpipe.errors import UsageError
from mzpipe.games.notation.position import Position
from mzpipe.trained.play.records import pgn, record_of, refuse_no_record, sgf
from tests.trained.play.agents import board_config


def played(name, *names):
    position = Position(board_config(name))
    for each in names:
        position.advance(next(move for move in position.legal() if move.name == each))
    return position


def test_sgf_counts_from_the_top_left_and_tells_the_end():
    assert sgf(played("go", "B a1", "W e5"), board_config("go")).endswith("SZ[5]KM[7.5];B[ae];W[ea])")
    ended = played("go", "B a1", "W PASS", "B PASS")
    assert sgf(ended, board_config("go")).endswith("KM[7.5]RE[B+];B[ae];W[];B[])")
    assert ";B[b1];W[a2])" in sgf(played("hex", "b1", "a2"), board_config("hex"))
    assert "GM[2]" in sgf(played("othello", "d3"), board_config("othello"))


def test_pgn_has_tags_moves_and_result():
    position = played("chess", "f3", "e5", "g4", "Qh4#")
    text = pgn(position, 'the "agent"', "you", "2026.11.30")
    assert '[White "the \\"agent\\""]' in text and '[Result "0-1"]' in text and '[Date "2026.11.30"]' in text
    assert text.endswith("\n\n1. f3 e5 2. g4 Qh4# 0-1\n")
    assert record_of(played("chess", "e4"), board_config("chess"), ("a", "b")).endswith("1. e4 *\n")


def test_lines_of_pgn_are_short():
    position = Position(board_config("chess"))
    for _ in range(30):
        for name in ("Nf3", "Nf6", "Ng1", "Ng8"):
            found = [move for move in position.legal() if move.name == name]
            if found:
                position.advance(found[0])
    assert max(map(len, pgn(position, "a", "b", "2026.11.30").splitlines())) <= 80


def test_games_without_a_record_are_refused():
    with pytest.raises(UsageError, match="tic_tac_toe: mzpipe writes records of chess, go, othello, gomoku, hex"):
        refuse_no_record("tic_tac_toe")
