"""Sampled actions learn: the whole pipeline, stepped in this process, finds the best action of a bandit."""

import numpy as np
import torch

from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.serial import SerialPipeline
from mzpipe.own_code import allow_own_code
from mzpipe.runtime.context import Storage
from tests.tiny import planned, tiny_profile

BEST, K, STEPS = 0.3, 8, 700
BANDIT = (
    *("game.name=tests.games.own_games:Bandit", f"game.gymnasium.sampled_actions={K}", "search.discount=1.0"),
    *("search.num_simulations=16", "network.hidden_size=32", "network.value_support_size=3", "replay.td_steps=1"),
    *("actor.trajectory_length=1", "replay.min_size_to_sample=64", "replay.samples_per_insert=8.0"),
    *("replay.max_insert_lead=1000", "replay.capacity_bytes=200000", "reanalyze.fraction=0.25"),
    *("learner.batch_size=32", "learner.num_unroll_steps=1", "learner.learning_rate=5e-3"),
    *("learner.publish_interval=10", "learner.checkpoint_interval=1000", "evaluator.interval_steps=100000"),
    *("topology.trees_per_lane=8", "topology.trajectory_ring_slots=64", "topology.trees_per_reanalyzer_lane=8"),
    *("stop.learner_steps=10000", "inference.runtime=torch"),
)


def test_bandits_best_action_is_found_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "")  # restored afterwards
    allow_own_code(True)
    profile, (learner, replay) = tiny_profile(*BANDIT), (Member(Role.LEARNER, 0), Member(Role.REPLAY, 0))
    plan = planned(profile)
    (tmp_path / "plane").mkdir()
    plane = DataPlane.create(tmp_path / "plane", plan.shape)
    pipeline = SerialPipeline(profile, plane, Storage(tmp_path / "c", tmp_path / "j", tmp_path), plan.devices)
    try:
        pipeline.start()
        while plane.counters(learner).get("learner_steps") < STEPS:
            pipeline.lap()
        model = pipeline.agents[learner]._played.eval()
        assert plane.counters(replay).get("reanalyzed") > 1000
    finally:
        pipeline.close()
    with torch.no_grad():
        root = model.initial_inference(torch.ones(1, 1))
        places = torch.arange(K, dtype=torch.int32)
        children = model.recurrent_inference(root.hidden_state.expand(K, -1), places)
    candidates = root.policy_logits_BA[0, K:].numpy()
    assert abs(candidates.mean() - BEST) < 0.15 and candidates.std() < 0.45  # at first 0 and 0.63
    assert abs(candidates[np.argmax(model.reward(children).numpy())] - BEST) < 0.15
