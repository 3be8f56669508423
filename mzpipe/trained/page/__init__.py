"""Renders an inspection as one self-contained HTML file: no script, no request, light and dark.

tree       the most visited nodes as boxes and edges, and the principal variation
forecast   predicted and actual rewards and values, as charts

page.html is the template; it includes drawings.html and page.css.
"""

import base64
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...games import GameSpec
from ...games.watching import draw_frame
from ...pages import page_environment
from ..inspection import Inspection, clips_rewards
from ..player import Decision, Player
from . import forecast
from .tree import BOX_HEIGHT, BOX_WIDTH, draw_tree, principal_variation

# The most frames of the stack to show, newest last.
_MOST_FRAMES = 8
_MOST_ACTIONS = 40


def data_uri(picture: NDArray[np.uint8]) -> str:
    """The `src` of an `img` that shows a picture, uint8 [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def frames_of(observation_S: np.ndarray, spec: GameSpec) -> list[str]:
    """The newest frames of a stacked observation, drawn, oldest first."""
    frames = observation_S.reshape(spec.frame_stack, *spec.frame_shape)
    return [data_uri(draw_frame(frame_F)) for frame_F in frames[-_MOST_FRAMES:]]


__all__ = ["render_page"]


class RootAction(NamedTuple):
    """A row of the root's table; q is None where the action has no visit."""

    action: int
    name: str
    prior: float
    visits: int
    q: float | None
    policy: float
    is_chosen: bool


def render_page(inspection: Inspection, player: Player, run: str) -> str:
    """The whole page, which makes no requests; `run` is the run's name on it."""
    environment = page_environment(Path(__file__).parent)
    environment.filters["signed"] = signed
    position = inspection.position
    rows = root_actions(position.decision, inspection.names)
    return environment.get_template("page.html").render(
        run=run,
        player=player,
        inspection=inspection,
        position=position,
        decision=position.decision,
        tree=inspection.tree,
        names=inspection.names,
        node_names=inspection.node_names,
        rows=rows[:_MOST_ACTIONS],
        num_more_rows=len(rows[_MOST_ACTIONS:]),
        picture=data_uri(inspection.picture),
        frames=frames_of(position.observation_S, player.game),
        drawing=draw_tree(inspection.tree),
        box=(BOX_WIDTH, BOX_HEIGHT),
        line=principal_variation(inspection.tree),
        charts=forecast.make_charts(inspection.foreseen),
        frame=forecast.FRAME,
        td_steps=player.agent.profile.replay.td_steps,
        clips_rewards=clips_rewards(player),
    )


def root_actions(decision: Decision, names: tuple[str, ...]) -> list[RootAction]:
    """Every legal action, ordered by visits, then by prior."""
    order = np.lexsort((-decision.prior, -decision.visits))
    return [
        RootAction(
            action=int(action),
            name=names[action],
            prior=float(decision.prior[action]),
            visits=int(decision.visits[action]),
            q=float(decision.q[action]) if decision.visits[action] else None,
            policy=float(decision.search_policy[action]),
            is_chosen=int(action) == decision.action_index,
        )
        for action in order
        if decision.prior[action] > 0.0 or decision.visits[action] > 0
    ]


def signed(value: float | None) -> str:
    """Four digits, at most three after the point, with a true minus sign; '-' for None."""
    if value is None:
        return "-"
    text = f"{value:.4g}" if abs(value) >= 1.0 else f"{round(value, 3) + 0.0:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
