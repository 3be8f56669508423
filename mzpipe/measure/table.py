"""A report and its ceilings as tables for a terminal of 80 columns."""

import math

from rich.table import Table

from ..format import latency, number, percent
from ..telemetry.report import ProfileReport
from .ceilings import PROCESSORS, Ceilings


def profile_table(report: ProfileReport) -> Table:
    """One row per stage, grouped by the role that runs it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    for name in ("items/s", "busy", "wait in", "wait out", "p50", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    former = None
    for name, use in report.stages.items():
        if former not in (None, use.role):
            table.add_section()
        former = use.role
        is_bottleneck = name == report.verdict.stage
        table.add_row(
            name,
            number(use.items_per_s),
            percent(use.busy),
            percent(use.wait_in),
            percent(use.wait_out),
            latency(use.p50_us),
            latency(use.p99_us),
            style="bold yellow" if is_bottleneck else None,
        )
    return table


def ceilings_table(ceilings: Ceilings) -> Table:
    """One row per role: its rate alone, and the pipeline's rate if this role were the only limit."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ceiling", no_wrap=True)
    for name in ("alone", "env steps/s"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = {role: (f"{number(each.items_per_s)} {each.unit}/s", each) for role, each in ceilings.roles.items()}
    for role, (alone, each) in rows.items():
        name = role if each.processes == 1 else f"{role} x {each.processes}"
        bound = number(each.env_steps_per_s) if math.isfinite(each.env_steps_per_s) else "-"
        table.add_row(name, alone, bound, style=_marked(ceilings, role))
    last = number(ceilings.processors_env_steps_per_s)
    table.add_row(PROCESSORS, "all at work", last, style=_marked(ceilings, PROCESSORS))
    return table


def _marked(ceilings: Ceilings, name: str) -> str | None:
    return "bold yellow" if name == ceilings.lowest else None
