"""Watching: pictures of a batch's first game, and names of actions, for people.

A family that can draw has `render`, and one that names its actions has
`action_names`. For all others the frame is drawn: images as they are, planes as
coloured squares, numbers as bars.

Shape legend    F... one frame   C, H, W planes, rows, columns
"""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .board_picture import SQUARE
from .game import Game

# Frames of bytes with sides of at least this length are images, not boards.
_LEAST_IMAGE = 16
_GROUND, _LINE = np.array([24, 28, 34]), np.array([52, 60, 72])
# Okabe and Ito's colours, one per plane, which colour-blind people can tell apart too.
_COLOURS = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
)
_CHART, _BAR = (240, 320), np.array([86, 180, 233])


@runtime_checkable
class Drawn(Protocol):
    """A game that draws itself."""

    def render(self) -> NDArray[np.uint8] | None:
        """The current picture of game 0, uint8 [H, W, 3]; None if this game cannot be drawn."""
        ...


@runtime_checkable
class Named(Protocol):
    """A game whose actions have names."""

    def action_names(self) -> tuple[str, ...]:
        """One name per action, or none."""
        ...


def picture(game: Game, frame_F: np.ndarray) -> NDArray[np.uint8]:
    """The picture of game 0, uint8 [H, W, 3]; `frame_F` is its newest frame."""
    drawn = game.render() if isinstance(game, Drawn) else None
    return draw_frame(frame_F) if drawn is None else drawn


def action_names(game: Game) -> tuple[str, ...]:
    """Returns the name of each action, or its number if the game has no names."""
    names = game.action_names() if isinstance(game, Named) else ()
    return names or tuple(str(action) for action in range(game.spec.num_actions))


def draw_frame(frame_F: np.ndarray) -> NDArray[np.uint8]:
    """One frame as uint8 [H, W, 3]: the first one or three channels of an image, other planes in colours, other numbers
    as bars."""
    if frame_F.ndim != 3:
        return _bars(frame_F.reshape(-1))
    if frame_F.dtype == np.uint8 and min(frame_F.shape[1:]) >= _LEAST_IMAGE:
        channels = frame_F[:3] if len(frame_F) >= 3 else np.repeat(frame_F[:1], 3, axis=0)
        return np.ascontiguousarray(np.moveaxis(channels, 0, -1))
    return _planes(frame_F)


def _planes(frame_CHW: np.ndarray) -> NDArray[np.uint8]:
    """A square per place, in the colour of the last plane that is set there; a higher value is brighter.

    A constant plane says nothing about places and is left out.
    """
    most = max(float(frame_CHW.max()), 1e-9)
    squares = np.broadcast_to(_GROUND, (*frame_CHW.shape[1:], 3)).astype(float)
    for index, plane_HW in enumerate(frame_CHW):
        if (plane_HW == plane_HW[0, 0]).all():
            continue
        share = np.clip(plane_HW / most, 0.0, 1.0)[:, :, None]
        squares = squares * (1.0 - share) + _COLOURS[index % len(_COLOURS)] * share
    drawn = squares.repeat(SQUARE, axis=0).repeat(SQUARE, axis=1)
    drawn[::SQUARE] = drawn[:, ::SQUARE] = _LINE
    return drawn.astype(np.uint8)


def _bars(value_D: np.ndarray) -> NDArray[np.uint8]:
    """A bar per number from the middle line; a number x is x / (1 + |x|) of half the height."""
    height, width = _CHART
    drawn = np.broadcast_to(_GROUND, (height, width, 3)).astype(np.uint8)
    middle, edges = height // 2, np.linspace(0, width, len(value_D) + 1).astype(int)
    drawn[middle] = _LINE
    for value, left, right in zip(value_D.astype(float), edges, edges[1:], strict=False):
        end = middle - round(value / (1.0 + abs(value)) * (middle - 1))
        drawn[min(middle, end) : max(middle, end) + 1, left + 1 : max(right - 1, left + 2)] = _BAR
    return drawn
