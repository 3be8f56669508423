"""Profiling: what every stage of a running pipeline does with its time, and which of them holds the run back."""

from .moment import Moment, read_moment
from .rates import Count, RatePoint, Rates, read_count
from .report import ProcessUse, ProfileReport, StageUse, make_report, whole_report
from .table import profile_table
from .verdict import Verdict

__all__ = [
    "Count",
    "Moment",
    "ProcessUse",
    "ProfileReport",
    "RatePoint",
    "Rates",
    "StageUse",
    "Verdict",
    "make_report",
    "profile_table",
    "read_count",
    "read_moment",
    "whole_report",
]
