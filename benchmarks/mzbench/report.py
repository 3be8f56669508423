"""The results of a case, and their output: as records, and as a table on the terminal."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mzpipe.measure.machine import Origin

# Below this a value is shown with three digits, above it as a whole number.
_SMALL = 100.0


class Measured(NamedTuple):
    """One contestant's number: the median over rounds, and (greatest - least) / median."""

    name: str
    value: float
    spread: float


class Comparison(NamedTuple):
    """One number of ours and a reference's, measured in turns."""

    case: str
    unit: str
    ours: Measured
    reference: Measured


class Panel(NamedTuple):
    """One set of axes: a line of (x, y) points per contestant, both axes logarithmic."""

    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[tuple[float, float]]]


class CaseResult(NamedTuple):
    """All results of a case."""

    comparisons: list[Comparison]
    # One line per part that was left out, with the reason.
    notes: list[str]
    panels: list[Panel]


@dataclasses.dataclass(frozen=True)
class Reference:
    """The reference of a value, measured in the same run."""

    name: str
    value: float


@dataclasses.dataclass(frozen=True)
class Record:
    """One line of a result file."""

    case: str
    value: float
    unit: str
    reference: Reference
    # value / reference.value
    ratio: float
    # The fields of machine.Origin.
    host: str
    commit: str


def make_records(comparisons: Iterable[Comparison], origin: Origin) -> list[Record]:
    """The comparisons as records of one host and commit."""
    return [
        Record(
            case=comparison.case,
            value=comparison.ours.value,
            unit=comparison.unit,
            reference=Reference(comparison.reference.name, comparison.reference.value),
            ratio=comparison.ours.value / comparison.reference.value,
            host=origin.host,
            commit=origin.commit,
        )
        for comparison in comparisons
    ]


def table(comparisons: Iterable[Comparison]) -> Table:
    """A row per comparison, with the spread of both numbers."""
    rows = Table(box=SIMPLE_HEAD)
    for title in ("case", "reference", "unit"):
        rows.add_column(title, overflow="fold")
    for title in ("mzpipe", "reference", "ratio"):
        rows.add_column(title, no_wrap=True, justify="right")
    for comparison in comparisons:
        ours, reference = comparison.ours, comparison.reference
        ratio = f"{ours.value / reference.value:,.2f}"
        rows.add_row(comparison.case, reference.name, comparison.unit, _shown(ours), _shown(reference), ratio)
    return rows


def _shown(measured: Measured) -> str:
    """'25,600 (3%)' or '0.172 (3%)': the value and the spread of its rounds."""
    number = f"{measured.value:,.0f}" if measured.value >= _SMALL else f"{measured.value:.3g}"
    return f"{number} ({measured.spread:.0%})"
