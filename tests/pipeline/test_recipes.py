"""The Atari profiles for GPUs at a small size: the whole pipeline, every switch of the profile as it is shipped."""

from pathlib import Path

import numpy as np
import pytest

from mzpipe.runs.checkpoint import CheckpointStore
from mzpipe.runs.directory import RunDirectory
from tests.pipeline.driver import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PROFILES = Path(__file__).parents[2] / "profiles"
STEPS = 300
# Sizes and intervals alone: what a recipe switches on stays on.
SMALL = {
    "game.atari.image_size": 16,
    "search.num_simulations": 4,
    "network.num_channels": 4,
    "network.head_channels": 2,
    "network.head_hidden_size": 4,
    "network.value_support_size": 20,
    "network.reward_support_size": 5,
    "network.consistency_projection_size": 8,
    "network.consistency_hidden_size": 4,
    "network.lstm_size": 8,
    "replay.capacity_bytes": 4_000_000,
    "replay.samples_per_insert": 8.0,
    "replay.max_insert_lead": 100,
    "replay.min_size_to_sample": 60,
    "reanalyze.target_interval": 40,
    "learner.batch_size": 8,
    "learner.warmup_steps": 20,
    "learner.lr_decay_steps": 200,
    "learner.publish_interval": 20,
    "evaluator.episodes": 1,
    "topology.trees_per_lane": 2,
    "topology.reanalyzers": 1,
    "topology.trees_per_reanalyzer_lane": 8,
    "stop.learner_steps": STEPS,
}


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("atari100k", {"replay.auto_td_steps": 60}),
        ("atari100k-v2", {"replay.mixed_after_steps": 100, "replay.mixed_newest": 30}),
        ("atari-pong-gpu", {"learner.warmup_steps": 0, "topology.actors": 1, "reanalyze.target_interval": 200}),
    ],
)
def test_profile_trains_its_first_steps_with_everything_on(tmp_path, name, own):
    sets = [word for field, value in (SMALL | own).items() for word in ("--set", f"{field}={value}")]
    path, run = PROFILES / f"{name}.toml", RunDirectory(tmp_path / name)
    result = mzpipe("train", path, "--run-dir", run.path, *sets)
    assert result.returncode == 0, result.stdout + result.stderr
    latest = CheckpointStore(run.checkpoints).load("latest")
    assert latest.state["learner_steps"] == STEPS
    assert all(np.isfinite(array).all() for array in latest.weights.values())
