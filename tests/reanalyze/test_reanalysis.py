"""Reanalyze in the real pipeline, stepped in one process: what comes back is the search of the right position."""

import numpy as np
import pytest
import torch

from mzpipe.ipc.columns import named
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsSubscriber
from mzpipe.launch.serial import SerialPipeline
from mzpipe.nets import FlatWeights, Model
from mzpipe.replay.server import ReplayServer
from mzpipe.runtime.context import Storage
from tests.tiny import planned, tiny_profile

REPLAY = Member("replay", 0)
# The weights never change, and nothing is random: a search repeats, but rounding depends on its batch.
FROZEN = (
    "search.root_exploration_fraction=0.0",
    "learner.publish_interval=1000000",
    "learner.batch_size=8",
    "topology.reanalyzers=2",
    "topology.lanes_per_reanalyzer=2",
    "topology.trees_per_reanalyzer_lane=3",
    "replay.td_steps=3",
    "replay.sampler=uniform",
    "replay.journal=false",
    "stop.learner_steps=40",
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Steps a pipeline for some laps; returns (its replay server, its inference server, the plane)."""
    pipelines = []
    # Heads that start at zero would answer the same for every position.
    monkeypatch.setattr("mzpipe.nets.model._zero_last_layers", lambda model: None)

    def start(*overrides, laps=3000, name="plane"):
        (tmp_path / name).mkdir()
        profile = tiny_profile(*FROZEN, *overrides)
        torch.manual_seed(5)
        plan = planned(profile)
        plane = DataPlane.create(tmp_path / name, plan.shape)
        storage = Storage(tmp_path / "checkpoints", tmp_path / "journal", tmp_path)
        pipeline = SerialPipeline(profile, plane, storage, plan.devices)
        pipelines.append(pipeline)
        pipeline.start()
        for _ in range(laps):
            pipeline.lap()
        return pipeline, plane

    yield start
    for pipeline in pipelines:
        pipeline.close()


def replay_of(pipeline) -> ReplayServer:
    return pipeline.agents[REPLAY]


def network_of(plane, profile) -> Model:
    """The network of the newest published weights."""
    model = Model(profile.network, plane.shape.observation_shape, plane.shape.num_actions)
    FlatWeights(model).write(WeightsSubscriber(plane.weights()).pull().weights)
    return model.eval()


@pytest.mark.parametrize(
    "options", [(), ("game.name=tic_tac_toe", "search.model=rules")], ids=["learned", "by the rules"]
)
def test_reanalysis_repeats_the_actors_search_when_the_weights_are_the_same(run, options):
    """Marks overwrite the actor's own results first, so that what is compared can only come from reanalyzers."""
    pipeline, _plane = run("reanalyze.fraction=1.0", *options, laps=60)
    table = replay_of(pipeline)._table
    while table.size < 20:
        pipeline.lap()
    steps = table.steps
    stored = np.arange(table.tail, table.head) % table.capacity
    policy, value = steps.search_policy[stored].copy(), steps.root_value[stored].copy()
    table.added.search_version_C[stored] = -7
    steps.search_policy[stored], steps.root_value[stored] = 0.5, 99.0
    for _ in range(3000):
        pipeline.lap()
    searched = table.added.search_version_C[stored] > 0
    assert searched.sum() > 10
    assert np.std(value) > 0.01
    np.testing.assert_allclose(steps.root_value[stored][searched], value[searched], atol=1e-5)
    np.testing.assert_allclose(steps.search_policy[stored][searched], policy[searched], atol=1e-6)
    np.testing.assert_array_equal(steps.root_value[stored][~searched], np.float32(99.0))


def test_bootstrap_value_is_the_networks_own_for_the_position_td_steps_later(run):
    pipeline, plane = run("reanalyze.fraction=1.0", laps=60)
    table = replay_of(pipeline)._table
    while table.size < 20:
        pipeline.lap()
    table.added.bootstrap_version_C[:] = -7
    stored = np.arange(table.tail, table.head) % table.capacity
    for _ in range(3000):
        pipeline.lap()
    rows = stored[table.added.bootstrap_version_C[stored] > 0]
    assert len(rows) > 10
    network = network_of(plane, tiny_profile())
    with torch.inference_mode():
        expected = network.value(network.initial_inference(torch.from_numpy(table.frames._raw_P[rows])))
    found = table.added.bootstrap_value_C[rows]
    assert np.std(found) > 0.01
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("fraction", [0.3, 0.8, 1.0])
def test_fraction_of_positions_that_are_fresh_is_the_one_asked_for(run, fraction):
    _pipeline, plane = run(f"reanalyze.fraction={fraction}", laps=4000)
    counters = plane.counters(REPLAY)
    assert plane.counters(Member("learner", 0)).get("learner_steps") >= 10
    assert counters.get("reanalyzed") / counters.get("handed_out") == pytest.approx(fraction, abs=0.06)
    assert counters.get("target_age") == 0


def test_every_reanalyzer_works_and_none_starves_the_learner(run):
    _pipeline, plane = run("reanalyze.fraction=0.8", laps=4000)
    positions = [plane.counters(Member("reanalyzer", index)).get("positions") for index in range(2)]
    assert min(positions) > 0
    assert plane.counters(Member("learner", 0)).get("learner_steps") == 40


def test_serial_run_with_reanalyze_repeats_bit_for_bit(run):
    tables = []
    for name in ("first", "second"):
        pipeline, _ = run(
            "reanalyze.fraction=0.7", "learner.publish_interval=3", "replay.sampler=prioritized", name=name
        )
        tables.append(replay_of(pipeline)._table)
    first, second = tables
    assert first.head == second.head > 100
    arrays = [{**named(table.steps), **named(table.added)} for table in tables]
    for one, other in zip(*(each.values() for each in arrays), strict=True):
        np.testing.assert_array_equal(one, other)
