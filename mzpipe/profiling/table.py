"""A report as a table for a terminal of 80 columns, and the verdict below it."""

from rich.table import Table

from .report import ProfileReport

_MS = 1_000.0


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
            _rate(use.items_per_s),
            f"{use.busy:.1%}",
            f"{use.wait_in:.1%}",
            f"{use.wait_out:.1%}",
            _duration(use.p50_us),
            _duration(use.p99_us),
            style="bold yellow" if is_bottleneck else None,
        )
    return table


def _rate(items_per_s: float) -> str:
    return f"{items_per_s:,.0f}" if items_per_s >= 100.0 else f"{items_per_s:.3g}"


def _duration(microseconds: float | None) -> str:
    if microseconds is None:
        return "-"
    if microseconds < _MS:
        return f"{microseconds:.3g} us"
    if microseconds < _MS * _MS:
        return f"{microseconds / _MS:.3g} ms"
    return f"{microseconds / _MS / _MS:.3g} s"
