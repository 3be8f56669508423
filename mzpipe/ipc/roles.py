"""The roles, declared once. A role's value is its name on the command line, in files and in messages."""

from enum import StrEnum


class Role(StrEnum):
    """The work of one process of a run."""

    ACTOR = "actor"
    INFERENCE = "inference"
    REPLAY = "replay"
    REANALYZER = "reanalyzer"
    LEARNER = "learner"
    EVALUATOR = "evaluator"
    # On a run's own machine: serves all pods. In a pod: stands for learner and replay server.
    GATEWAY = "gateway"
    UPLINK = "uplink"
