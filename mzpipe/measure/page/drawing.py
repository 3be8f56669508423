"""Draws a pipeline as boxes and arrows. A layout gives the place of each box and the route of each flow.

Every search uses the inference server, so its box runs along all the other roles, and no arrow crosses another.
"""

from collections.abc import Collection
from typing import NamedTuple

from ...format import number
from ...ipc.roles import Role
from ...ipc.stages import Stage
from ...telemetry.report import ProfileReport
from .arrows import Arrow, Point, around, beside, make_arrow
from .boxes import Box

SERVER, REANALYZER = Role.INFERENCE, Role.REANALYZER
# The space above the first boxes, for the tag on a box's edge, and below the last ones, for the edge itself.
TOP, BOTTOM = 12.0, 2.0


class Flow(NamedTuple):
    """Data that one role sends to another; a two-way flow has requests and answers."""

    name: str
    source: Role
    target: Role
    is_two_way: bool
    stage: Stage
    # The unit of the rate, if it is not the stage's own.
    unit: str = ""


_FLOWS = (
    Flow("trajectories", Role.ACTOR, Role.REPLAY, False, Stage.REPLAY_INSERT),
    Flow("batches", Role.REPLAY, Role.LEARNER, False, Stage.REPLAY_SAMPLE),
    Flow("priorities", Role.LEARNER, Role.REPLAY, False, Stage.OPTIMIZER, "batches"),
    Flow("weights", Role.LEARNER, Role.INFERENCE, False, Stage.PUBLISH),
    Flow("positions", Role.REPLAY, Role.REANALYZER, False, Stage.REANALYZE),
    Flow("fresh targets", Role.REANALYZER, Role.REPLAY, False, Stage.REANALYZE),
    # An actor's answers include those of roots, which the headline's simulations exclude.
    Flow("lanes", Role.ACTOR, Role.INFERENCE, True, Stage.TREE, "requests"),
    Flow("lanes", Role.REANALYZER, Role.INFERENCE, True, Stage.REANALYZE),
    Flow("lane", Role.EVALUATOR, Role.INFERENCE, True, Stage.EVALUATION),
)


def flows_between(roles: Collection[Role]) -> list[Flow]:
    """The flows whose two ends are among these roles."""
    return [flow for flow in _FLOWS if flow.source in roles and flow.target in roles]


def rate_of(flow: Flow, report: ProfileReport) -> tuple[float, str]:
    """(rate, its unit) of a flow."""
    use = report.stages[flow.stage.label]
    return use.items_per_s, f"{flow.unit or use.unit}/s"


class Route(NamedTuple):
    """The route of a flow from edge to edge, and the place of its label.

    `anchor` is "start" right of a vertical arrow at `words`, "end" left of it, "middle" around a horizontal one.
    """

    points: list[Point]
    words: Point
    anchor: str


class Drawing(NamedTuple):
    """A pipeline laid out for drawing."""

    name: str
    width: float
    height: float
    boxes: list[Box]
    arrows: list[Arrow]


def draw_flow(flow: Flow, report: ProfileReport, route: Route) -> Arrow:
    """A flow's arrow along its route."""
    rate, unit = rate_of(flow, report)
    lines = (flow.name, number(rate), unit)
    ends = f"{flow.source} and {flow.target}" if flow.is_two_way else f"{flow.source} to {flow.target}"
    if route.anchor == "middle":
        label = around(*route.words, rate, lines)
    else:
        label = beside(*route.words, route.anchor, rate, lines)
    title = f"{flow.name}, {ends}: {lines[1]} {unit}"
    return make_arrow(title, rate, route.points, label, is_two_way=flow.is_two_way)
