"""Drawing: a pipeline as boxes and arrows. A layout says where the boxes stand and which way each flow takes.

Every search leans on the inference server, so it lies along all the other roles, and no arrow has to cross another.
"""

from collections.abc import Collection
from typing import NamedTuple

from ...format import number
from ...ipc.roles import Role
from ...ipc.stages import Stage
from ...telemetry.rates import STAGE_NAMES
from ...telemetry.report import ProfileReport
from .arrows import Arrow, Point, around, beside, make_arrow
from .boxes import Box


class Flow(NamedTuple):
    """Something that one role sends another; a two-way flow is asked for and answered."""

    name: str
    source: Role
    target: Role
    is_two_way: bool
    stage: Stage
    # Of the rate, where that is not the stage's own.
    unit: str = ""


_FLOWS = (
    Flow("trajectories", Role.ACTOR, Role.REPLAY, False, Stage.REPLAY_INSERT),
    Flow("batches", Role.REPLAY, Role.LEARNER, False, Stage.REPLAY_SAMPLE),
    Flow("priorities", Role.LEARNER, Role.REPLAY, False, Stage.OPTIMIZER, "batches"),
    Flow("weights", Role.LEARNER, Role.INFERENCE, False, Stage.PUBLISH),
    Flow("positions", Role.REPLAY, Role.REANALYZER, False, Stage.REANALYZE),
    Flow("fresh targets", Role.REANALYZER, Role.REPLAY, False, Stage.REANALYZE),
    # An actor's answers are counted with the roots', which the headline's simulations are without.
    Flow("lanes", Role.ACTOR, Role.INFERENCE, True, Stage.TREE, "requests"),
    Flow("lanes", Role.REANALYZER, Role.INFERENCE, True, Stage.REANALYZE),
    Flow("lane", Role.EVALUATOR, Role.INFERENCE, True, Stage.EVALUATION),
)


def flows_between(roles: Collection[Role]) -> list[Flow]:
    """The flows whose two ends are there."""
    return [flow for flow in _FLOWS if flow.source in roles and flow.target in roles]


def rate_of(flow: Flow, report: ProfileReport) -> tuple[float, str]:
    """(rate, its unit) of a flow."""
    use = report.stages[STAGE_NAMES[flow.stage].name]
    return use.items_per_s, f"{flow.unit or use.unit}/s"


SERVER, REANALYZER = Role.INFERENCE, Role.REANALYZER
# Above the first boxes, for the tag on a box's edge; below the last ones, for the edge itself.
TOP, BOTTOM = 12.0, 2.0


class Route(NamedTuple):
    """The way of a flow from edge to edge, and where its words go.

    `anchor` is "start" to the right of an upright arrow at `words`, "end" to its left, "middle" around a level one.
    """

    points: list[Point]
    words: Point
    anchor: str


class Drawing(NamedTuple):
    """A pipeline, ready to be drawn."""

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
