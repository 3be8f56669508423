"""Cells: what the templates draw, place by place, and what can be clicked."""

from typing import NamedTuple


class Cell(NamedTuple):
    """One place in the picture."""

    x: float
    y: float
    # Corners where it is a hexagon, else "".
    points: str
    is_dark: bool
    # Whose piece stands there, None: nobody's; and what is written on it.
    seat: int | None
    text: str
    is_last: bool
    is_chosen: bool
    # Of the agent's simulations, through its moves to this place.
    share: float


class Target(NamedTuple):
    """What can be clicked: a move to play, or else the address that chooses a piece; in percent of the picture."""

    left: float
    top: float
    width: float
    height: float
    label: str
    action: int | None
    href: str


class Held(NamedTuple):
    """A piece in a hand; without an address it cannot be chosen."""

    seat: int
    letter: str
    number: int
    href: str
    is_chosen: bool
