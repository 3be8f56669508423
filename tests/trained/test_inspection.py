"""Inspected moves: they are those of the game, and what was foreseen stands next to what came."""

import itertools
import re

import numpy as np
import pytest
import torch

from mzpipe.cli.main import main
from mzpipe.errors import UsageError
from mzpipe.trained.inspection import inspect_move
from mzpipe.trained.page import render_page
from mzpipe.trained.player import Player
from mzpipe.trained.watched import Outcome, WatchedGame
from tests.naive.targets import n_step_value
from tests.trained.runs import BOARD, CHECKPOINT, PONG, make_run


def silent(*_):
    """Shows no progress."""


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", "game.frame_stack=2", "learner.num_unroll_steps=3", "replay.td_steps=2")


@pytest.fixture
def player(run):
    return Player.load(run)


def game_of(player, episode, seed):
    """Positions and outcomes of one whole greedy game."""
    with WatchedGame(player, seed) as watched:
        for _ in range(episode + 1):
            watched.begin()
            moves = []
            while not watched.ended:
                position = watched.decide()
                moves.append((position, watched.play(position.decision.action)))
    return moves


@pytest.mark.parametrize(("episode", "step"), [(0, 0), (1, 4)])
def test_the_inspected_move_is_that_of_the_greedy_game(player, episode, step):
    moves = game_of(player, episode, seed=7)
    inspection = inspect_move(player, episode, step, seed=7, progress=silent)
    expected = moves[step][0]
    assert inspection.position[:2] == (episode, step)
    np.testing.assert_array_equal(inspection.position.observation_S, expected.observation_S)
    assert inspection.position.decision.value == expected.decision.value
    assert inspection.position.return_so_far == step
    assert inspection.tree.visits_K[0] == 5
    assert inspection.tree.visits_K[inspection.tree.parent_K == 0].sum() == 4
    assert inspection.picture.shape == (400, 600, 3)
    assert inspection.names == ("left", "right")


def test_foreseen_is_the_model_along_the_actions_that_were_played(player):
    moves = game_of(player, 0, seed=7)
    inspection = inspect_move(player, 0, 1, seed=7, progress=silent)
    assert [depth.action for depth in inspection.foreseen] == [
        None,
        *(position.decision.action for position, _ in moves[1:4]),
    ]
    assert [depth.real_reward for depth in inspection.foreseen] == [None, 1.0, 1.0, 1.0]
    model = player.agent.model.eval()
    with torch.no_grad():
        output = model.initial_inference(torch.from_numpy(moves[1][0].observation_S[None]))
        for depth, foreseen in enumerate(inspection.foreseen):
            if depth:
                action = torch.tensor([foreseen.action], dtype=torch.int32)
                output = model.recurrent_inference(output.hidden_state, action)
                assert foreseen.reward == pytest.approx(float(model.reward(output)), abs=1e-5)
            assert foreseen.value == pytest.approx(float(model.value(output)), abs=1e-5)


def test_value_targets_are_those_that_training_would_take(player):
    moves = game_of(player, 0, seed=7)
    rewards = [outcome.reward for _, outcome in moves]
    values = [position.decision.value for position, _ in moves]
    discount = player.config.discount
    for step in (0, len(moves) - 2):
        inspection = inspect_move(player, 0, step, seed=7, progress=silent)
        for depth, foreseen in enumerate(inspection.foreseen):
            expected = n_step_value(rewards, values, step + depth, discount, 2, 0.0) if step + depth < len(moves) else 0
            assert foreseen.value_target == pytest.approx(expected, rel=1e-5)


def test_the_unroll_stops_where_the_game_does(player):
    moves = game_of(player, 0, seed=7)
    inspection = inspect_move(player, 0, len(moves) - 1, seed=7, progress=silent)
    assert [depth.depth for depth in inspection.foreseen] == [0, 1]
    assert inspection.foreseen[1].root_value is None
    assert inspection.foreseen[1].value_target == 0.0


def test_value_targets_of_a_truncated_game_bootstrap_at_its_end(tmp_path):
    run = make_run(tmp_path / "run", "game.max_episode_moves=3", "learner.num_unroll_steps=5")
    inspection = inspect_move(Player.load(run), 0, 1, seed=7, progress=silent)
    first, _, last = inspection.foreseen
    assert last.value_target == last.root_value != 0.0
    assert first.value_target == pytest.approx(1.0 + 0.997 + 0.997**2 * last.root_value, rel=1e-5)


@pytest.mark.parametrize(("clip", "counted"), [("false", 7.0), ("true", 1.0)])
def test_value_targets_are_of_clipped_rewards_where_training_clips_them(tmp_path, monkeypatch, clip, counted):
    player = Player.load(make_run(tmp_path / "run", *PONG, f"game.atari.clip_rewards={clip}", "replay.td_steps=1"))
    play = WatchedGame.play

    def play_for_seven(watched, action):
        play(watched, action)
        return Outcome(7.0, terminated=False, truncated=False)

    monkeypatch.setattr(WatchedGame, "play", play_for_seven)
    first, second, *_ = inspect_move(player, 0, 0, seed=7, progress=silent).foreseen
    assert first.value_target == pytest.approx(counted + player.config.discount * second.root_value, rel=1e-5)
    assert second.real_reward == 7.0


def test_a_board_is_inspected_with_values_that_change_sides(tmp_path):
    player = Player.load(make_run(tmp_path / "board", *BOARD, "replay.td_steps=9", "learner.num_unroll_steps=9"))
    inspection = inspect_move(player, 0, 0, seed=0, progress=silent)
    *path, last = inspection.foreseen
    assert last.value_target == 0.0 and path[-1].value_target == last.real_reward
    for before, after in itertools.pairwise(path):
        assert before.value_target == pytest.approx(after.real_reward - 0.997 * after.value_target, abs=1e-5)


def test_a_step_after_the_end_is_refused_with_the_last_one(player):
    moves = len(game_of(player, 1, seed=7))
    with pytest.raises(UsageError, match=rf"--step {moves}: episode 1 of seed 7 ended after {moves} moves: .* 0 to"):
        inspect_move(player, 1, moves, seed=7, progress=silent)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--step", "9999"], 2, "--step 9999: episode 0 of seed 0 ended after"),
        (["--step", "0", "--checkpoint", "best"], 74, f"no such checkpoint; there are: {CHECKPOINT}"),
        (["--step", "0", "--html", "/no/such/page.html"], 74, "--html /no/such/page.html: no such directory: /no/such"),
    ],
)
def test_inspect_refuses_in_one_line(run, tmp_path, capsys, words, code, text):
    assert main(["inspect", str(run), "--html", str(tmp_path / "page.html"), *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
    assert not (tmp_path / "page.html").exists()


def test_inspect_and_record_refuse_a_directory_without_a_run(tmp_path, capsys):
    for words in (["inspect", str(tmp_path), "--step", "0", "--html", "page.html"], ["record", str(tmp_path)]):
        assert main(words) == 2
        assert "no run here (no profile.toml)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--episode", "-1", "--step", "0"], ["--step", "x"], []])
def test_inspect_refuses_numbers_that_are_none(run, words, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["inspect", str(run), "--html", "page.html", *words])
    assert raised.value.code == 2
    assert re.search("is not at least 0|invalid whole number value|required: --step", capsys.readouterr().err)


def test_chance_is_inspected_by_the_names_of_its_codes_and_foreseen_by_the_likeliest(tmp_path):
    player = Player.load(make_run(tmp_path / "chance", "network.chance_codes=3", "learner.num_unroll_steps=3"))
    inspection = inspect_move(player, 0, 2, seed=7, progress=silent)
    assert inspection.names == ("left", "right", "chance 0", "chance 1", "chance 2")
    decision, tree = inspection.position.decision, inspection.tree
    assert decision.prior.shape == decision.visits.shape == (2,) and decision.prior.sum() == pytest.approx(1.0)
    outcomes = [action for parent, action in zip(tree.parent_K, tree.action_K, strict=True) if parent > 0]
    assert outcomes and all(inspection.names[action] for action in outcomes)
    assert [each.depth for each in inspection.foreseen] == [0, 1, 2, 3]
    model = player.agent.model.eval()
    with torch.no_grad():
        root = model.initial_inference(torch.from_numpy(inspection.position.observation_S[None]))
        after = model.recurrent_inference(root.hidden_state, torch.tensor([inspection.foreseen[1].action]))
        code = int(after.policy_logits_BA[0, 2:].argmax())
        state = model.recurrent_inference(after.hidden_state, torch.tensor([2 + code]))
    assert inspection.foreseen[1].value == pytest.approx(float(model.value(state)), rel=1e-4, abs=1e-5)
    assert inspection.foreseen[1].reward == pytest.approx(float(model.reward(state)), rel=1e-4, abs=1e-5)
    page = render_page(inspection, player, "chance")
    assert "chance " in page
