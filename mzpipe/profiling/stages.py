"""What people call the stages, who runs them, and what their items are."""

from typing import NamedTuple

from ..ipc.stages import Stage


class StageName(NamedTuple):
    """One stage for people."""

    name: str
    role: str
    unit: str


STAGE_NAMES = {
    Stage.ENV_STEP: StageName("env step", "actor", "env steps"),
    Stage.ROOT_SEARCH: StageName("root search", "actor", "searches"),
    Stage.TREE: StageName("select/backup", "actor", "simulations"),
    Stage.TRAJECTORY_WRITE: StageName("trajectory write", "actor", "transitions"),
    Stage.INFERENCE_GATHER: StageName("inference gather", "inference", "requests"),
    Stage.INFERENCE_DEVICE: StageName("inference device", "inference", "requests"),
    Stage.INFERENCE_REPLY: StageName("reply", "inference", "requests"),
    Stage.REPLAY_INSERT: StageName("replay insert", "replay", "transitions"),
    Stage.REPLAY_SAMPLE: StageName("sample", "replay", "samples"),
    Stage.REANALYZE: StageName("reanalyze", "reanalyzer", "positions"),
    Stage.BATCH_COPY: StageName("batch copy", "learner", "batches"),
    Stage.FORWARD: StageName("learner forward", "learner", "steps"),
    Stage.BACKWARD: StageName("learner backward", "learner", "steps"),
    Stage.OPTIMIZER: StageName("learner optimiser", "learner", "steps"),
    Stage.PUBLISH: StageName("publish", "learner", "versions"),
    Stage.EVALUATION: StageName("evaluation", "evaluator", "env steps"),
}

# Of each role whose work can hold the pipeline back: the stage whose items count its progress.
PROGRESS = {
    "actor": Stage.ENV_STEP,
    "inference": Stage.INFERENCE_REPLY,
    "replay": Stage.REPLAY_INSERT,
    "reanalyzer": Stage.REANALYZE,
    "learner": Stage.OPTIMIZER,
}


def stages_of(role: str) -> dict[str, Stage]:
    """A role's stages by name."""
    return {each.name: stage for stage, each in STAGE_NAMES.items() if each.role == role}
