"""Rows of a drill: a promise, what was measured, and whether the promise is held."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mzpipe.measure.machine import here


class Row(NamedTuple):
    """One promise; `promise` is its number in docs/reliability.md."""

    promise: str
    what: str
    measured: str
    promised: str
    is_held: bool

    @property
    def verdict(self) -> str:
        return "ok" if self.is_held else "BAD"


def faults_row(faults: Sequence[str]) -> Row:
    """Whatever else went wrong."""
    return Row("", "anything else", "; ".join(faults) or "nothing", "nothing", not faults)


def finish(drill: str, rows: Sequence[Row], path: Path | None) -> int:
    """Prints the rows, and writes them as JSON to `path`; returns the exit code."""
    say(table(rows))
    origin, load = here(), [round(each, 1) for each in os.getloadavg()]
    say(f"{origin.host}, commit {origin.commit}, load average {load}")
    if path is not None:
        named = [{**row._asdict(), "verdict": row.verdict} for row in rows]
        fields = {"drill": drill, **origin._asdict(), "load": load, "unix_s": round(time.time()), "rows": named}
        path.write_text(json.dumps(fields, indent=1) + "\n")
    return int(not all(row.is_held for row in rows))


def table(rows: Sequence[Row]) -> str:
    """The rows as text, in columns."""
    lines = [("", "what", "measured", "promised", "")]
    lines += [(row.promise, row.what, row.measured, row.promised, row.verdict) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def at_most(values: Sequence[float], bound: float, unit: str) -> tuple[str, bool]:
    """Median, 95th percentile and maximum in words, and whether 95 of 100 are within the bound."""
    if not values:
        return "none", True
    p50, p95 = (percentile(values, part) for part in (0.5, 0.95))
    return f"p50 {p50:.3g}, p95 {p95:.3g}, max {max(values):.3g} {unit} of {len(values)}", p95 <= bound


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(len(ordered) * part * 1000) // 1000) - 1)]
