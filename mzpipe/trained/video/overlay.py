"""Draws the picture of a game, and next to it the search of the move.

+-----------------+----------------+
| picture, scaled | game, move     |
| to fit          | value, reward  |
|                 | actions        |
|                 | value so far   |
+-----------------+----------------+
| caption: checkpoint and search     |
+------------------------------------+
"""

import textwrap
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..player import Decision
from ..watched import Position

# In pixels; the whole picture is 960 x 544, both even, as mp4 requires.
_PICTURE, _PANEL, _FOOT = (600, 480), 360, 64
SIZE = (_PICTURE[0] + _PANEL, _PICTURE[1] + _FOOT)
_MARGIN, _ROW = 16, 42
_MOST_ACTIONS = 6
_GROUND, _CARD, _INK, _MUTED = "#11161d", "#1a212b", "#e8edf3", "#9fadbd"
_BAR, _CHOSEN, _RULE = "#3886c6", "#ff9a52", "#323d4b"


class Panel(NamedTuple):
    """The contents of the panel next to a picture."""

    title: str
    caption: str
    names: tuple[str, ...]
    num_players: int
    # None at the end of an episode, when the panel shows `result` instead.
    position: Position | None
    result: str
    # Root values of the episode so far, oldest first, all from the first player's view.
    values: Sequence[float]


def draw(picture: NDArray[np.uint8], panel: Panel) -> NDArray[np.uint8]:
    """The picture with its panel and caption, uint8 [544, 960, 3]."""
    canvas = Image.new("RGB", SIZE, _GROUND)
    scaled = _fitted(picture)
    canvas.paste(scaled, ((_PICTURE[0] - scaled.width) // 2, (_PICTURE[1] - scaled.height) // 2))
    pen = ImageDraw.Draw(canvas)
    left = _PICTURE[0]
    pen.rectangle((left, 0, canvas.width, _PICTURE[1]), fill=_CARD)
    pen.text((left + _MARGIN, 14), panel.title, fill=_INK, font=_font(22))
    if panel.position is None:
        pen.text((left + _MARGIN, 50), panel.result, fill=_CHOSEN, font=_font(18))
    else:
        _draw_search(pen, panel, panel.position, left + _MARGIN)
    _draw_values(pen, panel, (left + _MARGIN, 410, canvas.width - _MARGIN, 466))
    lines = textwrap.wrap(panel.caption, 150)[:3]
    pen.text((_MARGIN, _PICTURE[1] + 7), "\n".join(lines), fill=_MUTED, font=_font(13))
    return np.asarray(canvas)


def _draw_search(pen: ImageDraw.ImageDraw, panel: Panel, position: Position, left: int) -> None:
    decision, whose = position.decision, f", player {position.to_play + 1} to move" if panel.num_players == 2 else ""
    pen.text((left, 46), f"episode {position.episode}, move {position.step}{whose}", fill=_MUTED, font=_font(15))
    pen.text((left, 68), f"value {decision.value:.2f}", fill=_INK, font=_font(18))
    pen.text((left + 150, 68), f"reward so far {position.return_so_far:.4g}", fill=_INK, font=_font(18))
    pen.text((left, 100), "action", fill=_MUTED, font=_font(13))
    pen.text((left + 328, 100), "visits, Q, prior", fill=_MUTED, font=_font(13), anchor="ra")
    for row, action in enumerate(top_actions(decision)):
        _draw_action(pen, panel.names[action], position, action, (left, 120 + row * _ROW))


def _draw_action(pen: ImageDraw.ImageDraw, name: str, position: Position, action: int, place: tuple[int, int]) -> None:
    (left, top), decision, width = place, position.decision, _PANEL - 2 * _MARGIN
    colour = _CHOSEN if action == decision.action_index else _BAR
    share = decision.visits[action] / decision.visits.sum()
    pen.text((left, top), name, fill=_INK, font=_font(15))
    q = f"{decision.q[action]:.2f}" if decision.visits[action] else "-"
    number = f"{decision.visits[action]}, {q}, {decision.prior[action]:.2f}"
    pen.text((left + width, top), number, fill=_INK, font=_font(15), anchor="ra")
    pen.rectangle((left, top + 22, left + width, top + 30), fill=_RULE)
    if share > 0.0:
        pen.rectangle((left, top + 22, left + round(width * share), top + 30), fill=colour)


def _draw_values(pen: ImageDraw.ImageDraw, panel: Panel, box: tuple[int, int, int, int]) -> None:
    """Draws a line of the values so far, scaled from the least to the greatest."""
    (left, top, right, bottom), values = box, panel.values
    pen.line((left, bottom, right, bottom), fill=_RULE)
    if len(values) < 2:
        return
    whose = " for player 1" if panel.num_players == 2 else ""
    words = f"value so far{whose}, {min(values):.2f} to {max(values):.2f}"
    pen.text((left, top - 22), words, fill=_MUTED, font=_font(13))
    spread = max(max(values) - min(values), 1e-9)
    points = [
        (left + (right - left) * index / (len(values) - 1), bottom - (bottom - top) * (value - min(values)) / spread)
        for index, value in enumerate(values)
    ]
    pen.line(points, fill=_BAR, width=2)


def top_actions(decision: Decision) -> list[int]:
    """The top legal actions, ordered by visits, then by prior, then by number."""
    order = np.lexsort((-decision.prior, -decision.visits))[:_MOST_ACTIONS]
    return [int(action) for action in order if decision.prior[action] > 0.0 or decision.visits[action] > 0]


def _fitted(picture: NDArray[np.uint8]) -> Image.Image:
    """The picture as large as fits; it grows by whole factors only, so that pixels stay square."""
    height, width = picture.shape[:2]
    factor = min(_PICTURE[0] / width, _PICTURE[1] / height)
    factor = float(int(factor)) if factor > 1.0 else factor
    size = (round(width * factor), round(height * factor))
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST if factor >= 1.0 else Image.Resampling.BOX)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
