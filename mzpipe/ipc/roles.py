"""Roles by name, declared once. A value is the word on the command line, in files and in messages."""

from enum import StrEnum


class Role(StrEnum):
    """What a process of a run does."""

    ACTOR = "actor"
    INFERENCE = "inference"
    REPLAY = "replay"
    REANALYZER = "reanalyzer"
    LEARNER = "learner"
    EVALUATOR = "evaluator"
