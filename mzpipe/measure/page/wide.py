"""The wide layout: roles in a row, the inference server below them.

actor  ->  replay  <->  learner    evaluator
  ^          |  ^          |           ^
  |          v  |          |           |
  |       reanalyzer       |           |
  v          v             v           v
[                 inference                ]
"""

from ...ipc.roles import Role
from ...telemetry.report import ProfileReport
from .boxes import Box, height_of, make_box, parts_of
from .drawing import BOTTOM, REANALYZER, SERVER, TOP, Drawing, Flow, Route, draw_flow, flows_between

_ROW = (Role.ACTOR, Role.REPLAY, Role.LEARNER, Role.EVALUATOR)
_WIDTH, _BOX_WIDTH, _GAP_BELOW = 1160.0, 212.0, 86.0
# Horizontal arrows: fractions of a box's height.
_FORWARD, _BACK = 0.27, 0.62
# Arrows to and from the reanalyzer, as distances from the left edge: clear of the tag, which is on the right.
_POSITIONS_X, _TARGETS_X = 30.0, 78.0
# Base line of a vertical arrow's first line: its distance below the arrow's begin, or above the server.
_WORDS_BELOW, _WORDS_ABOVE_SERVER = 36.0, 50.0


def wide(report: ProfileReport) -> Drawing:
    """The pipeline of a report."""
    boxes = _boxes(report)
    arrows = [draw_flow(flow, report, _route(flow, boxes)) for flow in flows_between(boxes)]
    return Drawing("wide", _WIDTH, max(box.bottom for box in boxes.values()) + BOTTOM, list(boxes.values()), arrows)


def _boxes(report: ProfileReport) -> dict[Role, Box]:
    row = [role for role in _ROW if role in report.roles]
    step = (_WIDTH - _BOX_WIDTH) / max(len(row) - 1, 1)
    height = max(height_of(role, report) for role in row)
    boxes = {role: make_box(role, report, (place * step, TOP, _BOX_WIDTH, height)) for place, role in enumerate(row)}
    bottom = TOP + height
    if REANALYZER in report.roles:
        place = (boxes[Role.REPLAY].x, bottom + _GAP_BELOW, _BOX_WIDTH, height_of(REANALYZER, report))
        boxes[REANALYZER] = make_box(REANALYZER, report, place)
        bottom = boxes[REANALYZER].bottom
    if SERVER in report.roles:
        columns = len(parts_of(SERVER, report))
        place = (0.0, bottom + _GAP_BELOW, _WIDTH, height_of(SERVER, report, columns))
        between_arrows = _WIDTH - (_BOX_WIDTH + step) / 2
        boxes[SERVER] = make_box(SERVER, report, place, columns, tag_x=between_arrows)
    return boxes


def _route(flow: Flow, boxes: dict[Role, Box]) -> Route:
    source, target = boxes[flow.source], boxes[flow.target]
    if flow.target == SERVER:
        x = source.center_x
        return Route([(x, source.bottom), (x, target.y)], (x, target.y - _WORDS_ABOVE_SERVER), "start")
    if flow.target == REANALYZER:
        x = source.x + _POSITIONS_X
        return Route([(x, source.bottom), (x, target.y)], (x, source.bottom + _WORDS_BELOW), "end")
    if flow.source == REANALYZER:
        x = target.x + _TARGETS_X
        return Route([(x, source.y), (x, target.bottom)], (x, target.bottom + _WORDS_BELOW), "start")
    is_forward = target.x > source.x
    y = source.y + (_FORWARD if is_forward else _BACK) * source.height
    begin, end = (source.right, target.x) if is_forward else (source.x, target.right)
    return Route([(begin, y), (end, y)], ((begin + end) / 2, y), "middle")
