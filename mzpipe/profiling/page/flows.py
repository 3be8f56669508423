"""Flows: what runs from role to role, as in docs/architecture.md, and how much of it in a second.

Each is counted by one stage of one of its ends, so none is an estimate.
"""

from collections.abc import Collection
from typing import NamedTuple

from ...ipc.stages import Stage
from ...telemetry.rates import STAGE_NAMES
from ...telemetry.report import ProfileReport


class Flow(NamedTuple):
    """Something that one role sends another; a two-way flow is asked for and answered."""

    name: str
    source: str
    target: str
    is_two_way: bool
    stage: Stage
    # Of the rate, where that is not the stage's own.
    unit: str = ""


_FLOWS = (
    Flow("trajectories", "actor", "replay", False, Stage.REPLAY_INSERT),
    Flow("batches", "replay", "learner", False, Stage.REPLAY_SAMPLE),
    Flow("priorities", "learner", "replay", False, Stage.OPTIMIZER, "batches"),
    Flow("weights", "learner", "inference", False, Stage.PUBLISH),
    Flow("positions", "replay", "reanalyzer", False, Stage.REANALYZE),
    Flow("fresh targets", "reanalyzer", "replay", False, Stage.REANALYZE),
    # An actor's answers are counted with the roots', which the headline's simulations are without.
    Flow("lanes", "actor", "inference", True, Stage.TREE, "requests"),
    Flow("lanes", "reanalyzer", "inference", True, Stage.REANALYZE),
    Flow("lane", "evaluator", "inference", True, Stage.EVALUATION),
)


def flows_between(roles: Collection[str]) -> list[Flow]:
    """The flows whose two ends are there."""
    return [flow for flow in _FLOWS if flow.source in roles and flow.target in roles]


def rate_of(flow: Flow, report: ProfileReport) -> tuple[float, str]:
    """(rate, its unit) of a flow."""
    use = report.stages[STAGE_NAMES[flow.stage].name]
    return use.items_per_s, f"{flow.unit or use.unit}/s"
