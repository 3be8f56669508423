"""Ceilings: the rate of each role alone, in its own process, between stand-ins that never make it wait."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...ipc.roles import Role
from ...ipc.stages import PROGRESS_STAGES
from ...telemetry.report import ProfileReport

PROCESSORS = "processors"


@dataclass(frozen=True)
class StageAlone:
    """The items that one process handled in a stage, and the seconds of work."""

    items: int
    busy_s: float


@dataclass(frozen=True)
class RoleAlone:
    """The work of one process of a role alone: seconds in and outside its stages, and seconds of processor time."""

    working_s: float
    cpu_s: float
    stages: Mapping[str, StageAlone]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "RoleAlone":
        """Rebuilds it from the fields that `asdict` returned."""
        return cls(**{**fields, "stages": {name: StageAlone(**each) for name, each in fields["stages"].items()}})


@dataclass(frozen=True)
class Below:
    """Rates of the layers below the roles."""

    # Inferences/s of the bare model, which takes turns with the inference server alone.
    bare_inferences_per_s: float
    # Transitions/s through one trajectory ring.
    ring_transitions_per_s: float


@dataclass(frozen=True)
class RoleCeiling:
    """The ceiling of a role of a pipeline; rates are of all its processes together."""

    processes: int
    items_per_s: float
    unit: str
    # Infinite if the measured run needed none of its items.
    env_steps_per_s: float
    # Processor time per env step, in seconds.
    cpu_s_per_env_step: float


@dataclass(frozen=True)
class Ceilings:
    """Rates of the roles alone. `lowest` is the role (or PROCESSORS) that bounds the pipeline.

    `efficiency` is the pipeline's rate as a fraction of that bound.
    """

    # Items/s of every stage while it works; None for one that did nothing alone.
    stages: Mapping[str, float | None]
    roles: Mapping[Role, RoleCeiling]
    processors_env_steps_per_s: float
    lowest: str
    efficiency: float
    inference_through_lanes: float
    below: Below

    def as_json(self) -> dict[str, Any]:
        """Fields for a JSON file; an infinite rate (the run needed nothing of a role) becomes null."""
        fields = asdict(self)
        for role in fields["roles"].values():
            role["env_steps_per_s"] = role["env_steps_per_s"] if math.isfinite(role["env_steps_per_s"]) else None
        return fields

    @property
    def lowest_env_steps_per_s(self) -> float:
        """The ceiling of the pipeline."""
        if self.lowest == PROCESSORS:
            return self.processors_env_steps_per_s
        return self.roles[Role(self.lowest)].env_steps_per_s


def make_ceilings(report: ProfileReport, alone: Mapping[Role, RoleAlone], below: Below) -> Ceilings:
    """The ceilings of the pipeline that `report` is about, which must have played: env_steps_per_s > 0."""
    roles = {role: _role_ceiling(report, role, each) for role, each in alone.items()}
    bounds: dict[str, float] = {role: each.env_steps_per_s for role, each in roles.items()}
    others = sum(use.cpu or 0.0 for name, use in report.processes.items() if name.rpartition("-")[0] not in alone)
    bounds[PROCESSORS] = (report.cores - others) / sum(each.cpu_s_per_env_step for each in roles.values())
    lowest = min(bounds, key=lambda name: bounds[name])
    inference = alone[Role.INFERENCE]
    through_lanes = inference.stages[PROGRESS_STAGES[Role.INFERENCE].label].items / inference.working_s
    return Ceilings(
        stages={
            name: _processes(report, role) * stage.items / stage.busy_s if stage.items else None
            for role, each in alone.items()
            for name, stage in each.stages.items()
        },
        roles=roles,
        processors_env_steps_per_s=bounds[PROCESSORS],
        lowest=lowest,
        efficiency=report.env_steps_per_s / bounds[lowest],
        inference_through_lanes=through_lanes / below.bare_inferences_per_s,
        below=below,
    )


def _role_ceiling(report: ProfileReport, role: Role, alone: RoleAlone) -> RoleCeiling:
    progress, processes = PROGRESS_STAGES[role], _processes(report, role)
    items = alone.stages[progress.label].items
    ranks = processes if role == Role.LEARNER else 1  # ranks take every step together, each with its part of the batch
    per_s = processes / ranks * items / alone.working_s
    per_env_step = report.stages[progress.label].items_per_s / ranks / report.env_steps_per_s
    return RoleCeiling(
        processes=processes,
        items_per_s=per_s,
        unit=progress.unit,
        env_steps_per_s=per_s / per_env_step if per_env_step else float("inf"),
        cpu_s_per_env_step=ranks * alone.cpu_s / items * per_env_step,
    )


def _processes(report: ProfileReport, role: Role) -> int:
    return sum(name.rpartition("-")[0] == role for name in report.processes)
