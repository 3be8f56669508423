"""A report as a table for a terminal of 80 columns, and the verdict below it."""

from rich.table import Table

from ..telemetry.format import latency, number, percent
from .report import ProfileReport


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
