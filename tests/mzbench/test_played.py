"""The benchmark `played`: its moves of Pong, the batches made of them, the looks at a network, and the gate."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from mzbench.played import __main__ as command
from mzbench.played import looks, pong, positions
from mzbench.played.looks import Look, explained, look
from mzbench.played.pong import Moves, cached_moves, height, play
from mzbench.played.positions import Positions, discounted_returns

from mzpipe.config import AtariConfig, GameConfig, LearnerConfig, parse_profile
from mzpipe.errors import UsageError
from mzpipe.learner.statistics import PlayedStatistics
from mzpipe.learner.step import TrainingStep
from tests.learner.still_frames import still_frames, still_frames_model

SMALL = GameConfig(name="Pong", atari=AtariConfig(image_size=32))
PROFILE = """
[game]
name = "Pong"
frame_stack = 2
[game.atari]
image_size = 32
[search]
discount = 0.5
[network]
kind = "residual"
num_channels = 2
downsample_blocks = [0, 0, 0]
[learner]
batch_size = 8
num_unroll_steps = 2
[stop]
learner_steps = 1
"""
EMULATORS, MOVES = 4, 60


@pytest.fixture
def short(monkeypatch):
    """Stretches of moves, and steps between looks, that suit a test."""
    monkeypatch.setattr(positions, "_STRETCH", 5)
    monkeypatch.setattr(positions, "_UNKNOWN", 1)
    for module in (looks, command):
        monkeypatch.setattr(module, "FIRST_LOOK", 2)
    monkeypatch.setattr(looks, "LOOK_INTERVAL", 1)


def numbered_moves():
    """Frames, actions and rewards that tell where they are from; a reward every 30 moves, an episode's end every 20."""
    place_LT = np.arange(EMULATORS * MOVES).reshape(EMULATORS, MOVES)
    move_LT = place_LT % MOVES
    return Moves(
        frame_LTF=np.broadcast_to(place_LT[..., None, None, None], (*place_LT.shape, 1, 3, 3)).astype(np.uint8),
        action_LT=(place_LT % 5).astype(np.uint8),
        scripted_LT=(place_LT % 3).astype(np.uint8),
        reward_LT=np.where(move_LT % 30 == 29, 1.0 + place_LT, 0.0).astype(np.float32),
        ends_LT=move_LT % 20 == 19,
    )


def numbered_positions(*overrides, uniform_policy=False):
    return Positions(numbered_moves(), parse_profile(PROFILE, overrides), 6, uniform_policy=uniform_policy)


def court(row=None):
    frame = np.full((1, 84, 84), 87, np.uint8)
    if row is not None:
        frame[0, row : row + 2, 40] = 236
    return frame


def test_height_goes_from_the_top_of_the_court_to_its_bottom_and_is_nan_without_a_ball():
    frame_LYX = np.concatenate([court(14), court(44), court(75), court()])
    np.testing.assert_allclose(height(frame_LYX, pong._BALL), [0.008, 0.492, 0.992, np.nan], atol=5e-3)


def test_play_is_the_same_every_time_and_some_of_it_is_random():
    moves, again = play(SMALL, 200, EMULATORS), play(SMALL, 200, EMULATORS)
    assert moves.frame_LTF.shape == (EMULATORS, 50, 1, 32, 32)
    assert all((one == other).all() for one, other in zip(moves, again, strict=True))
    assert set(np.unique(moves.scripted_LT)) <= {0, 2, 3}
    other_LT = moves.action_LT != moves.scripted_LT
    assert 0 < other_LT.mean() < 1


def test_player_moves_its_paddle_towards_the_ball(monkeypatch):
    monkeypatch.setattr(pong._Player, "restart", lambda *_: None)
    player = pong._Player(2, ["NOOP", "FIRE", "RIGHT", "LEFT"], np.random.default_rng(0))
    player._random_share_L[:] = 0.0
    frame_LYX = np.concatenate([court(20), court(70)])
    frame_LYX[:, 40:50, 74] = 147
    assert player.choose(frame_LYX)[1].tolist() == [2, 3]


def test_cached_moves_are_played_once_for_each_setting(tmp_path, monkeypatch):
    first = cached_moves(tmp_path, SMALL, 40, EMULATORS)
    monkeypatch.setattr(pong, "play", lambda *_: pytest.fail("played again"))
    again = cached_moves(tmp_path, replace(SMALL, frame_stack=4), 40, EMULATORS)
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    with pytest.raises(pytest.fail.Exception, match="played again"):
        cached_moves(tmp_path, replace(SMALL, atari=AtariConfig(image_size=40)), 40, EMULATORS)


def test_discounted_returns_stop_at_an_episodes_end():
    moves = numbered_moves()
    return_LT = discounted_returns(moves, 0.5)
    assert return_LT[0, 29] == 30.0
    assert return_LT[0, 28] == 15.0
    assert return_LT[0, 20] == pytest.approx(30.0 * 0.5**9)
    assert return_LT[0, 19] == 0.0  # the last move of an episode
    assert return_LT[3, 59] == moves.reward_LT[3, 59]


def test_batches_hold_one_place_and_stay_within_its_episode(short):
    batch = numbered_positions().draw(64, np.random.default_rng(0))
    place_B = batch.observation[:, 1, 0, 0].numpy().astype(int)  # 240 places fit into a byte
    move_B = place_B % MOVES % 20
    assert (batch.observation[:, 0, 0, 0].numpy() == place_B - 1).all()
    assert (move_B >= 1).all() and (move_B < 18).all()
    for k in range(2):
        assert (batch.action_BK[:, k].numpy() == (place_B + k) % 5).all()
    assert (batch.policy_target_BK1A[:, 2].argmax(1).numpy() == (place_B + 2) % 3).all()
    return_LT = discounted_returns(numbered_moves(), 0.5)
    np.testing.assert_array_equal(batch.value_target_BK1[:, 1], return_LT.reshape(-1)[place_B + 1])


def test_batches_are_half_from_before_a_reward_and_never_from_held_out_stretches(short):
    drawer, rng = numbered_positions(), np.random.default_rng(0)
    for held_out in (False, True):
        batch = drawer.draw(64, rng, held_out=held_out)
        move_B = batch.observation[:, 1, 0, 0].numpy().astype(int) % MOVES
        assert (move_B[:32] % 30 >= 10).all()
        assert ((move_B // 5 % 8 == 0) == held_out).all()


def test_batches_have_uniform_policies_and_next_observations_where_asked(short):
    batch = numbered_positions("network.consistency=true", uniform_policy=True).draw(8, np.random.default_rng(0))
    np.testing.assert_allclose(batch.policy_target_BK1A, 1 / 6, rtol=1e-6)
    after_BK = batch.frame_BF[:, 2:, 0, 0, 0].numpy().astype(int)
    assert (after_BK == batch.observation[:, 1, 0, 0].numpy().astype(int)[:, None] + [1, 2]).all()


def test_positions_refuse_moves_without_a_position_to_hold_out():
    with pytest.raises(UsageError, match="--moves 240: too few to train on and to hold out: play more"):
        numbered_positions()


def test_look_plays_with_measured_statistics_shows_the_running_ones_and_leaves_the_model_as_it_was():
    model, rng = still_frames_model(), np.random.default_rng(0)
    step, statistics = TrainingStep(model, LearnerConfig(learning_rate=1e-3)), PlayedStatistics(model)
    for _ in range(20):
        batch = still_frames(rng)
        step(batch)
        statistics.keep(batch)
    for norm in statistics._norms:
        norm.running_mean += 1.0
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen = look(20, model, statistics, [still_frames(rng)])
    assert abs(seen.trained - seen.running) > 10 * abs(seen.gap)
    assert model.training
    assert all((tensor == state[name]).all() for name, tensor in model.state_dict().items())


def test_explained_is_zero_for_the_mean_of_the_targets():
    batch, model = still_frames(np.random.default_rng(0)), still_frames_model().eval()
    centred = batch._replace(value_target_BK1=batch.value_target_BK1 - batch.value_target_BK1[:, 0].mean())
    assert explained(model, [centred]) == pytest.approx(0.0, abs=1e-5)  # a new network's value is 0


def test_failed_names_the_limits_that_are_broken():
    seen = [Look(300, 0.5, 0.5, 0.0), Look(325, 0.5, 0.25, 0.0), Look(350, 0.375, 0.375, 0.0)]
    assert command.failed(seen, None, None) == []
    assert command.failed(seen, 0.25, 0.375) == []
    assert command.failed(seen, 0.125, 0.5) == [
        "step 325: play loses 0.250 of R2, more than --max-gap 0.125",
        "step 350: R2 as trained is 0.375, less than --min-r2 0.5",
    ]
    assert len(command.failed([Look(300, float("nan"), float("nan"), 0.0)], 0.1, 0.1)) == 2


@pytest.mark.slow
def test_command_shows_the_looks_writes_them_and_fails_at_its_gate(short, tmp_path, capsys):
    (tmp_path / "profile.toml").write_text(PROFILE)
    words = [str(tmp_path / "profile.toml"), "--cache", str(tmp_path), "--moves", "3200", "--steps", "3"]
    assert command.main([*words, "--csv", str(tmp_path / "looks.csv"), "--min-r2", "0.9"]) == 1
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in Look._fields[1:])
    assert "less than --min-r2 0.9" in shown
    with (tmp_path / "looks.csv").open() as rows:
        assert [row[0] for row in csv.reader(rows)] == ["step", "2", "3"]
    assert command.main(words) == 0


def test_command_refuses_a_bad_profile_in_one_line(tmp_path, capsys):
    assert command.main([str(tmp_path / "none.toml"), "--cache", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("mzbench.played: ")
