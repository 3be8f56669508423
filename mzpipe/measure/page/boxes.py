"""Boxes: one per role, with its time as a bar and as rows. All numbers are user units of the drawing."""

from typing import NamedTuple

from ...format import percent
from ...ipc.roles import Role
from ...telemetry.report import ProfileReport

_PADDING, _BAR_Y, _BAR_HEIGHT, _FIRST_ROW_Y, _ROW_HEIGHT = 12.0, 48.0, 14.0, 80.0, 16.0
_TAG_INSET, _BETWEEN_COLUMNS = 55.0, 36.0
_ROOM_FOR_CORES, _ROW_OF_MANY = 170.0, 128.0
_GAP = 1.0  # between two parts of a bar


class Part(NamedTuple):
    """A fraction of a role's time; `style` is the class that colours it."""

    label: str
    fraction: float
    style: str
    is_bottleneck: bool = False


class Segment(NamedTuple):
    """One part of a bar."""

    x: float
    width: float
    style: str
    title: str


class Row(NamedTuple):
    """One row of a box's list; x is the left of its swatch, y its base line."""

    x: float
    y: float
    right: float
    part: Part
    value: str


class Box(NamedTuple):
    """A role's box in the drawing."""

    role: Role
    x: float
    y: float
    width: float
    height: float
    title: str
    subtitle: str
    bar_y: float
    bar_height: float
    segments: list[Segment]
    rows: list[Row]
    is_bottleneck: bool
    # Middle of the tag on the upper edge of the bottleneck's box.
    tag_x: float

    @property
    def left(self) -> float:
        """The left of the content."""
        return self.x + _PADDING

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The bottom edge."""
        return self.y + self.height

    @property
    def center_x(self) -> float:
        """The middle between the left and right edges."""
        return self.x + self.width / 2

    @property
    def center_y(self) -> float:
        """The middle between the top and bottom edges."""
        return self.y + self.height / 2


def parts_of(role: Role, report: ProfileReport) -> list[Part]:
    """A role's time in the order of its bar: its stages, other work, both waits."""
    use, bottleneck = report.roles[role], report.verdict.stage
    stages = {name: stage.busy for name, stage in report.stages.items() if stage.role == role}
    parts = [
        Part(name.removeprefix(f"{role} "), busy, f"s{place}", name == bottleneck)
        for place, (name, busy) in enumerate(stages.items())
    ]
    other = max(0.0, use.working - sum(stages.values()))
    return [
        *parts,
        Part("other", other, "other"),
        Part("wait in", use.wait_in, "wait-in"),
        Part("wait out", use.wait_out, "wait-out"),
    ]


def height_of(role: Role, report: ProfileReport, columns: int = 1) -> float:
    """The height of a box that holds its rows."""
    rows = -(-len(parts_of(role, report)) // columns)
    return _FIRST_ROW_Y + rows * _ROW_HEIGHT - 4.0


def make_box(
    role: Role,
    report: ProfileReport,
    place: tuple[float, float, float, float],
    columns: int = 1,
    tag_x: float | None = None,
) -> Box:
    """A role's box at (x, y, width, height), with its rows in this many columns."""
    x, y, width, height = place
    use, parts = report.roles[role], parts_of(role, report)
    bar_width = width - 2 * _PADDING
    facts = [f"{percent(use.working)} busy"]
    if use.cpu and width >= _ROOM_FOR_CORES:
        facts.append(f"{use.cpu:.2f} cores")
    return Box(
        role=role,
        x=x,
        y=y,
        width=width,
        height=height,
        title=f"{role} \u00d7{use.processes}" if use.processes > 1 else role,
        subtitle=", ".join(facts),
        bar_y=y + _BAR_Y,
        bar_height=_BAR_HEIGHT,
        segments=_segments(parts, x + _PADDING, bar_width),
        rows=_rows(parts, x + _PADDING, y + _FIRST_ROW_Y, bar_width, columns),
        is_bottleneck=role == report.verdict.role,
        tag_x=x + width - _TAG_INSET if tag_x is None else tag_x,
    )


def _segments(parts: list[Part], x: float, width: float) -> list[Segment]:
    """The segments of the bar, one per part; they fill it, because the parts add up to the whole time."""
    segments = []
    for part in parts:
        share = part.fraction * width
        if share > 0.0:
            label = f"{part.label} {percent(part.fraction)}"
            segments.append(Segment(x, max(share - _GAP, share / 2), part.style, label))
        x += share
    return segments


def _rows(parts: list[Part], x: float, y: float, width: float, columns: int) -> list[Row]:
    per_column, stride = -(-len(parts) // columns), (width + _BETWEEN_COLUMNS) / columns
    rows = []
    for place, part in enumerate(parts):
        column, line = divmod(place, per_column)
        left = x + column * stride
        right = left + (stride - _BETWEEN_COLUMNS if columns == 1 else _ROW_OF_MANY)
        rows.append(Row(left, y + line * _ROW_HEIGHT, right, part, percent(part.fraction)))
    return rows
