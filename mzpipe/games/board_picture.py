"""Pictures of boards for people: stones as discs, pieces as letters, uint8 [H, W, 3].

Shape legend    R rows, C columns
"""

import numpy as np
from numpy.typing import NDArray

# Pixels of one place.
SQUARE = 32
_BOARD = np.array([196, 154, 92])
_FIRST, _SECOND = (20, 20, 20), (244, 244, 244)


def draw_stones(stones_2RC: np.ndarray) -> NDArray[np.uint8]:
    """A disc wherever the first player (black) or the second (white) has a stone."""
    drawn = _empty(*stones_2RC.shape[1:])
    offset = np.arange(SQUARE) - SQUARE / 2
    disc = np.add.outer(offset**2, offset**2) < (0.4 * SQUARE) ** 2
    for stones_RC, colour in zip(stones_2RC, (_FIRST, _SECOND), strict=True):
        drawn[np.kron(stones_RC != 0, disc)] = colour
    return drawn


def draw_pieces(position: str) -> NDArray[np.uint8]:
    """The board of a position in FEN or SFEN: capitals light, small letters dark, promoted pieces with a plus."""
    from PIL import Image, ImageDraw, ImageFont  # loaded only for pictures

    rows = [pieces_of(row) for row in position.split()[0].split("/")]
    image = Image.fromarray(_empty(len(rows), len(rows[0])))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(SQUARE // 2)
    for row, pieces in enumerate(rows):
        for column, piece in enumerate(pieces):
            place = ((column + 0.5) * SQUARE, (row + 0.5) * SQUARE)
            pen.text(place, piece.upper(), font=font, anchor="mm", fill=_SECOND if piece.isupper() else _FIRST)
    return np.asarray(image)


def _empty(rows: int, columns: int) -> NDArray[np.uint8]:
    drawn = np.broadcast_to(_BOARD, (rows * SQUARE, columns * SQUARE, 3)).astype(np.uint8)
    drawn[::SQUARE] = drawn[:, ::SQUARE] = _BOARD // 2
    return drawn


def pieces_of(row: str) -> list[str]:
    """One word per square, "" where it is empty."""
    pieces: list[str] = []
    promoted = ""
    for letter in row:
        if letter.isdigit():
            pieces += [""] * int(letter)
        elif letter == "+":
            promoted = letter
        else:
            pieces.append(promoted + letter)
            promoted = ""
    return pieces
