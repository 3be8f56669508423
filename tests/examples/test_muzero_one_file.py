"""The one-file example as an oracle: the pipeline makes the same batch, loss and gradient from the same games.

Pipeline    recorder -> trajectory ring -> table -> batch maker -> batch ring -> batch feed -> loss
One file    Episode.add -> make_batch -> muzero_loss
"""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from mzpipe.actor.recorder import Recorder
from mzpipe.config import load_profile
from mzpipe.ipc.counters import WaitClock
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.schema import Steps
from mzpipe.ipc.shape import Member
from mzpipe.learner import loss as pipeline_loss
from mzpipe.learner.batches import BatchFeed
from mzpipe.learner.loss import LossFunction
from mzpipe.replay.batches import BatchMaker
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.rate_limiter import OpenLimiter
from mzpipe.replay.sampler import Draw
from mzpipe.replay.sizes import TableShape
from mzpipe.replay.table import Table
from tests.tiny import make_plane, random_model, tiny_profile

ROOT = Path(__file__).parents[2]
GAMES, MOVES, KEY = 3, 20, 1 << 40
# (game, move) at which an episode ends and the game begins a new one. Records of 5 moves cut every episode.
TERMINATED, TRUNCATED = {(0, 12), (1, 18)}, {(1, 7)}


def load_example():
    spec = importlib.util.spec_from_file_location("muzero_one_file", ROOT / "examples" / "muzero_one_file.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


one_file = load_example()


class AllSteps:
    """A sampler that draws every stored step, in order."""

    def draw(self, count, beta):
        return Draw(np.arange(count), np.ones(count, np.float32))

    def random_key(self):
        return KEY


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    """The same moves through the pipeline, up to the learner's batch, and in episodes of the one file."""
    size = f"learner.batch_size={GAMES * MOVES}"
    profile = tiny_profile(
        size, "replay.td_steps=4", "replay.capacity_bytes=65536", "topology.trajectory_ring_slots=32"
    )
    plane = make_plane(tmp_path_factory.mktemp("plane"), profile)
    env = gymnasium.make("CartPole-v1")
    recorder = Recorder(plane.shape, RingWriter(plane.trajectory_ring(0)), num_games=GAMES, first_game=0)
    rng, episodes = np.random.default_rng(0), [[one_file.Episode(env)] for _ in range(GAMES)]
    for number in range(MOVES):
        play_move(number, rng, recorder, episodes, env)
    recorder.flush_unfinished()
    table, positions = store(plane, profile, episodes)
    batch = pipeline_batch(plane, profile, table)
    return SimpleNamespace(profile=profile, plane=plane, positions=positions, batch=batch, config=config_of(profile))


def play_move(number, rng, recorder, episodes, env):
    """One random move of every game, recorded by both."""
    frame_G = rng.normal(size=(GAMES, 4)).astype(np.float32)
    steps = Steps(
        action=rng.integers(0, 2, GAMES).astype(np.int32),
        reward=rng.normal(size=GAMES).astype(np.float32),
        to_play=np.zeros(GAMES, np.int8),
        legal_actions=np.ones((GAMES, 2), np.bool_),
        search_policy=rng.dirichlet(np.ones(2), GAMES).astype(np.float32),
        root_value=(10 * rng.normal(size=GAMES)).astype(np.float32),
        weights_version=np.ones(GAMES, np.int64),
    )
    final_value_G = rng.normal(size=GAMES).astype(np.float32)
    terminated_G, truncated_G = (
        np.array([(g, number) in ends for g in range(GAMES)]) for ends in (TERMINATED, TRUNCATED)
    )
    recorder.add(frame_G, steps, terminated_G, truncated_G, final_value_G)
    assert recorder.flush()
    for g in range(GAMES):
        found = steps.root_value[g], steps.search_policy[g]
        step = frame_G[g], steps.action[g], steps.reward[g], *found, terminated_G[g], final_value_G[g]
        episodes[g][-1].add(*step)
        if terminated_G[g] or truncated_G[g]:
            episodes[g].append(one_file.Episode(env))


def store(plane, profile, episodes):
    """The table with all records of the ring, and the position of each of its steps in the one file's episodes."""
    table = Table(TableShape.of(profile.replay, plane.shape, plane.shape.trajectory_length))
    reader, positions = RingReader(plane.trajectory_ring(0)), []
    while (record := reader.peek()) is not None:
        episode = episodes[record.game[0]][record.episode[0]]
        length = table.insert(record, actor=0, epoch=0)
        positions += [(episode, int(record.offset[0]) + place) for place in range(length)]
        reader.release()
    assert len(positions) == GAMES * MOVES
    return table, positions


def pipeline_batch(plane, profile, table):
    """Every stored step as the learner's batch."""
    gatherer = Gatherer(table, discount=profile.search.discount, td_steps=profile.replay.td_steps)
    waits = WaitClock(plane.counters(Member("replay", 0)))
    maker = BatchMaker(profile, plane, table, AllSteps(), gatherer, OpenLimiter(), waits)
    assert maker.do_work()
    _, batch = BatchFeed(plane.batch_ring(0), torch.device("cpu")).peek()
    return batch


def config_of(profile, **changes):
    """The one file's settings, with the values of the profile."""
    fields = {
        "network": profile.network,
        "search": profile.search,
        "num_unroll_steps": profile.learner.num_unroll_steps,
        "td_steps": profile.replay.td_steps,
        "value_loss_weight": profile.learner.value_loss_weight,
    }
    return one_file.Config(**fields | changes)


def different_arrays(games, *, positions=None, key=KEY, **changes):
    """Names of the arrays in which the one file's batch is not the pipeline's, bit for bit."""
    batch = one_file.make_batch(config_of(games.profile, **changes), positions or games.positions, key)
    pairs = {name: (array, getattr(games.batch, name.replace("_BO", ""))) for name, array in batch._asdict().items()}
    return {name for name, (array, expected) in pairs.items() if not torch.equal(array, expected)}


def different_losses(games, batch, **changes):
    """Names of the losses in which the one file and the pipeline differ on `batch`; "gradient" is of the total."""
    model = random_model(games.profile, games.plane, seed=3)
    found = one_file.muzero_loss(config_of(games.profile, **changes), model, batch)
    expected = LossFunction(model, games.profile.learner)(games.batch)
    pairs = {name: (getattr(found, name).detach(), getattr(expected, name).detach()) for name in found._fields}
    pairs["gradient"] = tuple(gradient(model, losses.total) for losses in (found, expected))
    return {name for name, pair in pairs.items() if not torch.allclose(*pair, rtol=1e-5, atol=1e-6)}


def gradient(model, total):
    return torch.cat([each.flatten() for each in torch.autograd.grad(total, list(model.parameters()))])


@pytest.fixture
def batch(games):
    return one_file.make_batch(games.config, games.positions, KEY)


def test_batch_is_the_pipelines_when_both_see_the_same_games(games):
    assert different_arrays(games) == set()


def test_batch_holds_every_kind_of_end(games, batch):
    endings = {(episode.terminated, episode.length) for episode, _ in games.positions}
    assert endings == {(True, 13), (False, 7), (False, 8), (True, 11), (False, 1), (False, 20)}
    assert 0.0 < batch.value_mask_BK1.mean() < 1.0 and 0.0 < batch.reward_mask_BK.mean() < 1.0
    assert (batch.policy_mask_BK1 < batch.value_mask_BK1).any()  # past a terminated game


def test_loss_and_gradient_are_the_pipelines_when_weights_and_batch_are(games, batch):
    assert different_losses(games, batch) == set()


def test_comparison_notices_another_td_steps(games):
    assert different_arrays(games, td_steps=games.profile.replay.td_steps + 1) == {"value_target_BK1"}


def test_comparison_notices_another_key_of_the_actions_past_the_end(games):
    assert different_arrays(games, key=KEY + 1) == {"action_BK"}


def test_comparison_notices_positions_that_are_one_step_off(games):
    shifted = [(episode, max(t - 1, 0)) for episode, t in games.positions]
    assert {"observation_BO", "action_BK", "reward_target_BK", "policy_target_BK1A"} < different_arrays(
        games, positions=shifted
    )


def test_comparison_notices_a_truncated_game_taken_for_a_terminated_one(games, monkeypatch):
    truncated = next(episode for episode, _ in games.positions if episode.length == 8)
    monkeypatch.setattr(truncated, "terminated", True)
    assert different_arrays(games) == {"value_target_BK1", "value_mask_BK1", "reward_mask_BK"}


@pytest.mark.parametrize(("mask", "part"), [("value_mask_BK1", "value"), ("reward_mask_BK", "reward")])
def test_comparison_notices_a_mask_that_is_dropped(games, batch, mask, part):
    unmasked = batch._replace(**{mask: torch.ones_like(getattr(batch, mask))})
    assert different_losses(games, unmasked) == {"total", "gradient", part}


def test_comparison_notices_another_value_loss_weight(games, batch):
    assert different_losses(games, batch, value_loss_weight=1.0) == {"total", "gradient"}


def test_comparison_notices_a_gradient_that_is_not_halved(games, batch, monkeypatch):
    monkeypatch.setattr(pipeline_loss, "halve_gradient", lambda hidden_state: hidden_state)
    assert different_losses(games, batch) == {"gradient"}


def test_config_is_that_of_the_cartpole_profile():
    profile, config = load_profile(ROOT / "profiles" / "cartpole.toml"), one_file.Config()
    assert config_of(profile) == config
    replay, learner, evaluator = profile.replay, profile.learner, profile.evaluator
    assert (config.min_size_to_sample, config.samples_per_insert) == (
        replay.min_size_to_sample,
        replay.samples_per_insert,
    )
    assert (config.batch_size, config.learning_rate) == (learner.batch_size, learner.learning_rate)
    assert (config.weight_decay, config.max_grad_norm) == (learner.weight_decay, learner.max_grad_norm)
    assert config.evaluation_games == evaluator.episodes
    assert config.evaluation_simulations == evaluator.num_simulations
    assert config.evaluation_interval == evaluator.interval_steps
    assert config.goal == profile.stop.return_mean
    steps = [fraction * profile.stop.learner_steps for fraction in profile.actor.temperature_fractions]
    assert config.temperatures == tuple(zip(steps, profile.actor.temperatures, strict=True))


def test_self_play_stores_what_the_environments_did(games):
    config, replay = one_file.Config(num_games=4, search=games.profile.search), one_file.Replay(10_000)
    model = random_model(games.profile, games.plane, seed=0)
    self_play = one_file.SelfPlay(config, model, replay, np.random.default_rng(0))
    for _ in range(40):
        self_play.play_move(1.0)
    assert sum(episode.length for episode in replay.episodes) == 4 * 40
    ended = [episode for episode in replay.episodes if episode.terminated]
    assert len(ended) >= 4 and len(replay.episodes) == len(ended) + 4
    env = gymnasium.make("CartPole-v1").unwrapped
    for episode in replay.episodes:
        np.testing.assert_allclose(episode.steps.search_policy_CA[: episode.length].sum(1), 1.0, rtol=1e-5)
        for t in range(episode.length):
            env.reset()
            env.state = episode.observation_TO[t]
            observation_O, reward, terminated, _, _ = env.step(int(episode.steps.action_C[t]))
            assert reward == episode.steps.reward_C[t]
            if t + 1 < episode.length:
                np.testing.assert_allclose(observation_O, episode.observation_TO[t + 1], atol=1e-5)
        assert terminated == episode.terminated


def test_replay_drops_the_oldest_episodes_and_samples_only_steps_that_are_stored():
    replay, env = one_file.Replay(capacity=10), gymnasium.make("CartPole-v1")
    for length in (4, 0, 5, 3, 2):
        replay.add(one_file.Episode(env)).length = length
    replay.add(one_file.Episode(env))  # makes room, now that the last ones have grown
    assert [episode.length for episode in replay.episodes] == [0, 5, 3, 2, 0]
    positions = replay.sample(1000, np.random.default_rng(0))
    counts = {}
    for episode, t in positions:
        counts[episode.length, t] = counts.get((episode.length, t), 0) + 1
    assert set(counts) == {(length, t) for length in (5, 3, 2) for t in range(length)}
    assert min(counts.values()) > 60  # of 100 expected


def test_main_writes_the_curve_and_stops_at_the_goal(monkeypatch, tmp_path, capsys):
    scores = [(64, 500, np.array([10.0, 20.0])), (128, 1000, np.array([475.0])), (192, 1500, np.array([1.0]))]
    monkeypatch.setattr(one_file, "train", lambda config, seed: iter(scores))
    monkeypatch.setattr(torch, "set_flush_denormal", lambda mode: None)
    monkeypatch.setattr(sys, "argv", ["muzero_one_file.py", "--seed", "7", "--csv", str(tmp_path / "curve.csv")])
    one_file.main()
    assert (tmp_path / "curve.csv").read_text().splitlines() == [
        "seed,seconds,env_steps,learner_steps,return_mean,return_std",
        "7,0,64,500,15.0,5.0",
        "7,0,128,1000,475.0,0.0",
    ]
    assert "mean return 475.0" in capsys.readouterr().out


@pytest.mark.slow
def test_train_learns_to_balance_the_pole():
    config = one_file.Config(evaluation_interval=2_000)
    _, _, return_G = next(one_file.train(config, seed=0))
    assert return_G.mean() > 100.0  # random play: 22
