"""Histograms of the latencies of each stage's calls, on one logarithmic axis for all stages.

Shape legend    B buckets of a histogram
"""

import math
from typing import NamedTuple

import numpy as np

from ...format import latency
from ...ipc.stages import bucket_edges_ns
from ...pages import Frame, Mark
from ...telemetry.report import ProfileReport, StageUse

FRAME = Frame(width=280.0, height=100.0, left=22.0, right=258.0, top=6.0, base=78.0)
# A bucket with few calls is at least this high, so that it shows.
_LEAST_BAR = 1.0
_LABEL_WIDTH = 44.0
_NS_PER_US = 1e3


class Histogram(NamedTuple):
    """One stage's calls; `bars` is a path, empty if there was no call."""

    stage: str
    use: StageUse
    calls: int
    is_bottleneck: bool
    bars: str
    p50_x: float | None
    p99_x: float | None
    ticks: list[Mark]


class _Axis:
    """Whole decades of nanoseconds from left to right."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._decades = first, max(last - first, 1)

    def x(self, nanoseconds: float) -> float:
        """The position of a call of this length; shorter calls than the axis shows are at its left end."""
        decade = math.log10(max(nanoseconds, 1.0)) - self._first
        return FRAME.left + (FRAME.right - FRAME.left) * min(max(decade / self._decades, 0.0), 1.0)

    def ticks(self) -> list[Mark]:
        """Marks at decades that are far enough apart for their labels."""
        stride = math.ceil(_LABEL_WIDTH * self._decades / (FRAME.right - FRAME.left))
        places = range(self._first, self._first + self._decades + 1, stride)
        return [Mark(self.x(10.0**decade), spoken(10.0**decade / _NS_PER_US)) for decade in places]


def make_histograms(report: ProfileReport) -> list[Histogram]:
    """One histogram for every stage, in the report's order."""
    edges = bucket_edges_ns()
    axis = _common_axis(report, edges)
    return [
        Histogram(
            stage=name,
            use=use,
            calls=int(report.histograms[name].sum()),
            is_bottleneck=name == report.verdict.stage,
            bars=_bars(report.histograms[name], edges, axis),
            p50_x=None if use.p50_us is None else axis.x(use.p50_us * _NS_PER_US),
            p99_x=None if use.p99_us is None else axis.x(use.p99_us * _NS_PER_US),
            ticks=axis.ticks(),
        )
        for name, use in report.stages.items()
    ]


def spoken(microseconds: float | None) -> str:
    """The terminal's text of a latency, with a true micro sign."""
    return latency(microseconds).replace(" us", " \u00b5s")


def _common_axis(report: ProfileReport, edges: np.ndarray) -> _Axis:
    filled = np.flatnonzero(np.sum(list(report.histograms.values()), axis=0))
    if not filled.size:
        return _Axis(3, 9)
    lowest, highest = max(int(edges[filled[0]]), 1), int(edges[filled[-1] + 1])
    return _Axis(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)))


def _bars(histogram_B: np.ndarray, edges: np.ndarray, axis: _Axis) -> str:
    most, path = int(histogram_B.max(initial=0)), []
    for bucket in np.flatnonzero(histogram_B):
        left, right = axis.x(float(edges[bucket])), axis.x(float(edges[bucket + 1]))
        height = max((FRAME.base - FRAME.top) * float(histogram_B[bucket]) / most, _LEAST_BAR)
        path.append(
            f"M{left:.1f} {FRAME.base:g}V{FRAME.base - height:.1f}H{max(right - 0.4, left + 0.4):.1f}V{FRAME.base:g}Z"
        )
    return "".join(path)
