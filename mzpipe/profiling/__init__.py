"""Profiling: what every stage of a running pipeline does with its time, and which of them holds the run back."""

from .moment import Moment, read_moment
from .report import ProcessUse, ProfileReport, StageUse, make_report, whole_report
from .table import profile_table
from .verdict import Verdict

__all__ = [
    "Moment",
    "ProcessUse",
    "ProfileReport",
    "StageUse",
    "Verdict",
    "make_report",
    "profile_table",
    "read_moment",
    "whole_report",
]
