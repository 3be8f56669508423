"""Reads a board position: the pieces, and the labels of rows and columns.

Seat 0 began the game, whatever numbers OpenSpiel gives the players.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyspiel

from ..board import planes_shape
from ..board_picture import pieces_of
from ..board_rules import BOARDS
from .styles import STYLES, Place


class Piece(NamedTuple):
    """A piece: its player's seat, and its letter in OpenSpiel's notation, upper case; stones have no letter."""

    seat: int
    letter: str = ""


class Board(NamedTuple):
    """One position."""

    rows: int
    columns: int
    # Rows from the top, columns from the left.
    row_labels: list[str]
    column_labels: list[str]
    pieces: Mapping[Place, Piece]
    # Shogi: the pieces in the players' hands, with their numbers.
    hands: Mapping[Piece, int]


def read_board(name: str, state: pyspiel.State) -> Board:
    """The position of a state of the game `name`."""
    style, (_, rows, columns) = STYLES[name], planes_shape(state.get_game())
    row_labels = style.row_labels(rows)
    if style.is_upward:
        row_labels.reverse()
    stones, hands = BOARDS[name].stones, {}
    if stones is not None:
        pieces = _stones(name, state, stones)
    else:
        placed, _, held, *_ = str(state).split()
        pieces, hands = _placed(placed), _held(held) if style.has_hands else {}
    return Board(rows, columns, row_labels, style.column_labels(columns), pieces, hands)


def _stones(name: str, state: pyspiel.State, planes: tuple[int, int]) -> dict[Place, Piece]:
    """The stones from OpenSpiel's observation; `planes` are the first and the second player's."""
    shape = planes_shape(state.get_game())
    set_CHW = np.reshape(state.observation_tensor(0), shape)
    return {
        STYLES[name].place(int(row), int(column), shape[1]): Piece(seat)
        for seat, plane in enumerate(planes)
        for row, column in np.argwhere(set_CHW[plane])
    }


def _placed(text: str) -> dict[Place, Piece]:
    """The pieces from the first field of FEN or SFEN: rows from the top, upper case for seat 0."""
    return {
        Place(row, column): Piece(int(piece.islower()), piece.upper())
        for row, line in enumerate(text.split("/"))
        for column, piece in enumerate(pieces_of(line))
        if piece
    }


def _held(text: str) -> dict[Piece, int]:
    """The hands from the third field of SFEN: each piece's letter, after its number unless that is 1; - for none."""
    held, number = {}, ""
    for sign in text.strip("-"):
        if sign.isdigit():
            number += sign
        else:
            held[Piece(int(sign.islower()), sign.upper())] = int(number or 1)
            number = ""
    return held
