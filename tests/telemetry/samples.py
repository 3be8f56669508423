"""Snapshots that the tests of the reports share."""

import dataclasses
from typing import Any

from mzpipe.runs.scores import Evaluation
from mzpipe.telemetry import Snapshot, StageRate

EVALUATION = Evaluation(
    weights_version=31, learner_steps=3000, env_steps=12_000, return_mean=120.5, return_std=33.2, episodes=20
)

TRAINING = Snapshot(
    elapsed_s=35.0,
    env_steps=12_400,
    learner_steps=3_100,
    episodes=812,
    env_steps_per_s=1_020.0,
    simulations_per_s=25_600.0,
    learner_steps_per_s=148.0,
    inference_batch_mean=58.0,
    return_mean=88.4,
    episode_length_mean=87.5,
    evaluation=EVALUATION,
    best_return_mean=130.2,
    samples_per_insert=24.9,
    samples_per_insert_target=25.0,
    replay_transitions=9_800,
    replay_capacity=100_000,
    weights_version=31,
    staleness=1.24,
    losses={"total": 2.31, "policy": 1.2, "value": 0.9, "reward": 0.21},
    skipped_steps=0,
    restarts=0,
    clipped_fraction=0.0004,
    metrics={"replay/insert_wait": 0.25, "reanalyze/fraction": None},
    stages=(
        StageRate("actor", 1_020.0, "env steps/s", 0.31),
        StageRate("inference", 25_600.0, "simulations/s", None),
        StageRate("replay", 9_472.0, "samples/s", 0.95),
        StageRate("learner", 148.0, "learner steps/s", 0.0),
    ),
    limits={
        "env_steps": (12_400, 145_000),
        "learner_steps": (3_100, 100_000),
        "minutes": (0.58, 30.0),
        "return_mean": (120.5, 475.0),
    },
    note="training",
)

_UNMEASURED: dict[str, Any] = {
    "return_mean": None,
    "episode_length_mean": None,
    "evaluation": None,
    "best_return_mean": None,
    "samples_per_insert": None,
    "staleness": None,
    "losses": {},
    "clipped_fraction": None,
    "metrics": {},
}


def training(**changes: Any) -> Snapshot:
    """A run in the middle of its training."""
    return dataclasses.replace(TRAINING, **changes)


def starting(**changes: Any) -> Snapshot:
    """A run that has measured nothing yet."""
    return training(**{**_UNMEASURED, **changes})
