"""The page of metrics: `python -m mzpipe.telemetry.metrics_page > docs/metrics.md` writes it from the declarations."""

import sys
from typing import Any

from ..format import markdown_table
from ..ipc.counters import COUNTERS, EVERY
from ..ipc.stages import Stage
from .healthy import HEALTHY
from .metrics import EVALUATION_METRICS, METRICS, RATING_METRICS, Metric

_PAGE = """\
# Metrics

Written by `python -m mzpipe.telemetry.metrics_page > docs/metrics.md`, from the declarations in `telemetry/metrics.py`,
`telemetry/healthy.py`, `ipc/counters.py`, `ipc/diagnostics.py` and `ipc/stages.py`.

## Curves

A run writes them to RUN/tensorboard, every `telemetry.interval_s` seconds. The x axis counts env steps, or learner
steps in a run that plays no games; an evaluation or a rating stands where its weights were published. Rates, means and
fractions are those of the last ten seconds. Words in capitals stand for a family of curves. What is
healthy on Pong was [measured](results/2026-11-30-curves.md); other games have other numbers.

{curves}

## Counters

Each process keeps the counters of its role in shared memory, from the start of a session on.

{counters}

## Stages

Stages are what processes spend their time on; `mzpipe profile`, `mzpipe top` and the live view show them
([Profiling](profiling.md)).

{stages}
"""


def page() -> str:
    """The whole page, in Markdown."""
    curves = [_curve(metric) for metric in (*METRICS, *EVALUATION_METRICS, *RATING_METRICS)]
    counters = [
        (f"`{each.name}`", "every" if each.roles == EVERY else ", ".join(each.roles), each.kind.label, each.meaning)
        for each in COUNTERS
    ]
    stages = [(stage.label, stage.role, stage.unit, stage.meaning) for stage in Stage]
    return _PAGE.format(
        curves=markdown_table(("curve", "unit", "what it says", "healthy"), curves),
        counters=markdown_table(("counter", "process", "kept as", "what it counts"), counters),
        stages=markdown_table(("stage", "process", "items", "an item is"), stages),
    )


def _curve(metric: Metric[Any]) -> tuple[str, ...]:
    meaning = f"{metric.meaning} ({metric.when.words})" if metric.when.words else metric.meaning
    return f"`{metric.tag}`", metric.unit, meaning, _range(metric.healthy) or HEALTHY.get(metric.tag, "")


def _range(healthy: tuple[float, float] | None) -> str:
    if healthy is None:
        return ""
    low, high = healthy
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


if __name__ == "__main__":
    sys.stdout.write(page())
