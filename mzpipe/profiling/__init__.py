"""Profiling: what every stage of a running pipeline does with its time, and which of them holds the run back."""

from ..telemetry.rates import Count, Moment, RatePoint, Rates, read_count, read_moment, stages_of
from ..telemetry.report import ProcessUse, ProfileReport, StageUse, make_report, whole_report
from ..telemetry.verdict import Verdict
from .ceilings import Below, Ceilings, RoleAlone, RoleCeiling, StageAlone, make_ceilings
from .table import ceilings_table, profile_table
from .trace import TraceReading, read_trace, render_trace

__all__ = [
    "Below",
    "Ceilings",
    "Count",
    "Moment",
    "ProcessUse",
    "ProfileReport",
    "RatePoint",
    "Rates",
    "RoleAlone",
    "RoleCeiling",
    "StageAlone",
    "StageUse",
    "TraceReading",
    "Verdict",
    "ceilings_table",
    "make_ceilings",
    "make_report",
    "profile_table",
    "read_count",
    "read_moment",
    "read_trace",
    "render_trace",
    "stages_of",
    "whole_report",
]
