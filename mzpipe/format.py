"""Formats numbers, values and tables for people; every report uses these functions."""

import math
import reprlib
from collections.abc import Iterable, Sequence

import numpy as np

_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_LATENCY_UNITS = ((1.0, "us"), (1e3, "ms"))
_UNKNOWN = "-"
# Stands for | in a cell of a Markdown table.
_BAR = "\\|"


def shown(value: object) -> str:
    """A value as a short text of one line; an exception as its message, anything else but an array as its repr."""
    text = str(value) if isinstance(value, BaseException | np.ndarray) else reprlib.repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def count(n: int) -> str:
    """12400 as '12,400'."""
    return f"{n:,}"


def number(x: float) -> str:
    """A rate, a size or a loss, with three digits or all whole ones if there are more: '2.31', '58', '25,600'."""
    if not math.isfinite(x):
        return _unmeasured(x)
    return f"{x:,.0f}" if abs(x) >= 100.0 else f"{x:.3g}"


def score(x: float) -> str:
    """A return, with three digits or one decimal: '0.731', '-2.41', '1,120.5'."""
    if not math.isfinite(x):
        return _unmeasured(x)
    decimals = 1 if x == 0.0 or abs(x) >= 10.0 else 2 if abs(x) >= 1.0 else 3
    return f"{x:,.{decimals}f}"


def compact(n: float) -> str:
    """A large count in a few characters: '940', '12.4k', '1.25M'."""
    if not math.isfinite(n):
        return _unmeasured(n)
    for size, suffix in _SUFFIXES:
        if abs(n) >= 0.9995 * size:
            return f"{_three_digits(n / size)}{suffix}"
    return f"{n:.0f}"


def exact(x: float) -> str:
    """A round number with all its digits, in a few characters: '0.25', '500', '13.225k'."""
    size, suffix = next((each for each in _SUFFIXES if abs(x) >= each[0]), (1.0, ""))
    return f"{x / size:g}{suffix}"


def percent(fraction: float) -> str:
    """0.314 as '31%'; with one decimal below ten: '0.3%'; and '<0.1%' where that would round to zero."""
    if not math.isfinite(fraction):
        return _unmeasured(fraction)
    value = 100.0 * fraction
    if 0.0 < abs(value) < 0.05:
        return "<0.1%"
    return f"{value:.1f}%" if 0.0 < abs(value) < 9.95 else f"{value:.0f}%"


def latency(microseconds: float | None) -> str:
    """The time a call took: '623 us', '4.67 ms', '1.5 s'; '-' if there was no call."""
    if microseconds is None:
        return _UNKNOWN
    for size, unit in _LATENCY_UNITS:
        if microseconds < 1_000.0 * size:
            return f"{number(microseconds / size)} {unit}"
    return f"{number(microseconds / 1e6)} s"


def clock(seconds: float) -> str:
    """Elapsed time: '0:12:34'."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


def duration(seconds: float) -> str:
    """A time in its two largest units: '45s', '2m10s', '3h05m', '2d04h'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def _three_digits(x: float) -> str:
    """Three digits without an exponent or trailing zeros."""
    decimals = 2 if abs(x) < 9.995 else 1 if abs(x) < 99.95 else 0
    text = f"{x:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _unmeasured(x: float) -> str:
    """The text of a number that is not finite: '-' for NaN, and an infinity as itself."""
    return _UNKNOWN if math.isnan(x) else str(x)


def printable(text: str) -> str:
    """A text, perhaps out of a stranger's file, whose control characters do nothing to a terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, without a line's end after it."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', _BAR) for cell in line)} |" for line in lines)
