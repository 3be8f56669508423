"""Frame: the rectangle that a chart fills within its picture, and the words along its edges; in user units."""

from typing import NamedTuple


class Frame(NamedTuple):
    """The picture's size, and where its chart begins and ends."""

    width: float
    height: float
    left: float
    right: float
    top: float
    base: float


class Mark(NamedTuple):
    """A labelled place on an axis."""

    at: float
    text: str
