"""The tall layout, for phones: roles below each other, the inference server along their right side.

  actor       <-> |
    v             |
+> replay         | i
|   v ^           | n
|  learner     -> | f
|                 | e
+> reanalyzer <-> | r
                  | ...
  evaluator   <-> |
"""

from ...ipc.roles import Role
from ...telemetry.report import ProfileReport
from .boxes import Box, height_of, make_box
from .drawing import BOTTOM, REANALYZER, SERVER, TOP, Drawing, Flow, Route, draw_flow, flows_between

_COLUMN = (Role.ACTOR, Role.REPLAY, Role.LEARNER, REANALYZER, Role.EVALUATOR)
_BOX_WIDTH, _GAP_BESIDE, _SERVER_WIDTH, _GAP_BELOW = 192.0, 84.0, 144.0, 64.0
# Vertical arrows and the tag between them, as distances from the left edge.
_FORWARD_X, _TAG_X, _BACK_X = 23.0, 78.0, 134.0
_WORDS_BELOW = 22.0
# Arrows around the learner: the margin they run in, the places where they leave and enter, and their labels.
_MARGIN, _POSITIONS_X, _TARGETS_X = 38.0, 5.0, 19.0
_POSITIONS_INSET, _TARGETS_INSET = 24.0, 42.0
_POSITIONS_WORDS_X, _TARGETS_WORDS_X, _WORDS_ABOVE = -19.0, 88.0, 42.0


def tall(report: ProfileReport) -> Drawing:
    """The pipeline of a report."""
    boxes = _boxes(report)
    arrows = [draw_flow(flow, report, _route(flow, boxes)) for flow in flows_between(boxes)]
    width, height = (max(ends) for ends in zip(*((box.right, box.bottom) for box in boxes.values()), strict=True))
    return Drawing("tall", width, height + BOTTOM, list(boxes.values()), arrows)


def _boxes(report: ProfileReport) -> dict[Role, Box]:
    boxes: dict[Role, Box] = {}
    x, y = _MARGIN if REANALYZER in report.roles else 0.0, TOP
    for role in _COLUMN:
        if role in report.roles:
            boxes[role] = make_box(role, report, (x, y, _BOX_WIDTH, height_of(role, report)), tag_x=x + _TAG_X)
            y = boxes[role].bottom + _GAP_BELOW
    if SERVER in report.roles:
        place = (x + _BOX_WIDTH + _GAP_BESIDE, TOP, _SERVER_WIDTH, y - _GAP_BELOW - TOP)
        boxes[SERVER] = make_box(SERVER, report, place)
    return boxes


def _route(flow: Flow, boxes: dict[Role, Box]) -> Route:
    source, target = boxes[flow.source], boxes[flow.target]
    if flow.target == SERVER:
        y = source.center_y
        return Route([(source.right, y), (target.x, y)], ((source.right + target.x) / 2, y), "middle")
    if flow.target == REANALYZER:
        return _around_the_learner(source, target, _POSITIONS_X, _POSITIONS_INSET, _POSITIONS_WORDS_X)
    if flow.source == REANALYZER:
        route = _around_the_learner(target, source, _TARGETS_X, _TARGETS_INSET, _TARGETS_WORDS_X)
        return route._replace(points=route.points[::-1])
    is_forward = target.y > source.y
    upper = source if is_forward else target
    x = source.x + (_FORWARD_X if is_forward else _BACK_X)
    begin, end = (source.bottom, target.y) if is_forward else (source.y, target.bottom)
    return Route([(x, begin), (x, end)], (x, upper.bottom + _WORDS_BELOW), "start")


def _around_the_learner(replay: Box, reanalyzer: Box, x: float, inset: float, words_x: float) -> Route:
    above, below = replay.bottom - inset, reanalyzer.y + inset
    points = [(replay.x, above), (x, above), (x, below), (reanalyzer.x, below)]
    return Route(points, (reanalyzer.x + words_x, reanalyzer.y - _WORDS_ABOVE), "start")
