"""Snapshots that the tests of the reports share."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mzpipe.runs.scores import Evaluation
from mzpipe.telemetry import Snapshot
from mzpipe.telemetry.snapshot import PodState

EVALUATION = Evaluation(
    weights_version=31, learner_steps=3000, env_steps=12_000, return_mean=120.5, return_std=33.2, episodes=20
)

TRAINING = Snapshot(
    elapsed_s=35.0,
    env_steps=12_400,
    learner_steps=3_100,
    episodes=812,
    replay_capacity=100_000,
    weights_version=31,
    restarts=0,
    evaluation=EVALUATION,
    best_return_mean=130.2,
    metrics={
        "charts/episodic_return": 88.4,
        "charts/episode_length": 87.5,
        "loss/total": 2.31,
        "loss/policy": 1.2,
        "loss/value": 0.9,
        "loss/reward": 0.21,
        "perf/env_steps_per_s": 1_020.0,
        "perf/simulations_per_s": 25_600.0,
        "perf/learner_steps_per_s": 148.0,
        "perf/inference_batch_mean": 58.0,
        "replay/transitions": 9_800.0,
        "replay/samples_per_insert": 24.9,
        "replay/samples_per_insert_target": 25.0,
        "replay/insert_wait": 0.25,
        "reanalyze/fraction": None,
        "staleness/weights_versions": 1.24,
        "targets/clipped_fraction": 0.0004,
        "learner/skipped_steps": 0.0,
        "stage/actor/items_per_s": 1_020.0,
        "stage/actor/queue_fill": 0.31,
        "stage/inference/items_per_s": 441.0,
        "stage/replay sample/items_per_s": 9_472.0,
        "stage/replay sample/queue_fill": 0.95,
        "stage/learner/items_per_s": 148.0,
    },
    limits={
        "env_steps": (12_400, 145_000),
        "learner_steps": (3_100, 100_000),
        "minutes": (0.58, 30.0),
        "return_mean": (120.5, 475.0),
    },
    note="training",
)

LINKED = PodState(node="node-b", is_linked=True, env_steps_per_s=512.0, versions_behind=0, on_their_way=64)
SILENT = PodState(node="node-c", is_linked=False, env_steps_per_s=0.0, versions_behind=9, on_their_way=0)

_UNMEASURED = ("charts", "loss", "staleness", "targets", "replay/samples_per_insert", "replay/insert_wait")


def training(metrics: Mapping[str, float | None] | None = None, **changes: Any) -> Snapshot:
    """A run in the middle of its training; `metrics` replace those of the same tags."""
    return dataclasses.replace(TRAINING, **changes, metrics={**TRAINING.metrics, **(metrics or {})})


def starting(metrics: Mapping[str, float | None] | None = None, **changes: Any) -> Snapshot:
    """A run that has measured nothing yet."""
    unmeasured = {tag: None for tag in TRAINING.metrics if {tag, tag.split("/")[0]} & set(_UNMEASURED)}
    changes = {"evaluation": None, "best_return_mean": None, **changes}
    return training({**unmeasured, **(metrics or {})}, **changes)
