"""Tic-tac-toe as a model: the position, seen by the player to move, as two bit masks.

Square s is bit s, counted along the rows from the top left; a state is (mine, theirs), or OVER, which absorbs.
"""

from functools import cache

NUM_ACTIONS = 9
EMPTY = (0, 0)
OVER = None
_FULL = 0b111_111_111
_ROWS, _COLUMNS, _DIAGONALS = ("012", "345", "678"), ("036", "147", "258"), ("048", "246")
_LINES = [sum(1 << int(square) for square in line) for line in _ROWS + _COLUMNS + _DIAGONALS]


def wins(mask: int) -> bool:
    """Whether these squares hold a line."""
    return any(mask & line == line for line in _LINES)


@cache
def step(state, action: int):
    """(reward of the player who moves, next state). A taken square loses; OVER stays OVER with reward 0."""
    if state is OVER:
        return 0.0, OVER
    mine, theirs = state
    if (mine | theirs) >> action & 1:
        return -1.0, OVER
    mine |= 1 << action
    if wins(mine):
        return 1.0, OVER
    if mine | theirs == _FULL:
        return 0.0, OVER
    return 0.0, (theirs, mine)


def legal_actions(state) -> list[bool]:
    """Which squares are free."""
    taken = state[0] | state[1]
    return [not taken >> square & 1 for square in range(NUM_ACTIONS)]
