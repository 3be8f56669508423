"""A trained agent whose actions are vectors: what its player returns, and what verbs do with it."""

import gymnasium
import numpy as np
import pytest
import torch

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode
from mzpipe.trained.inspection import inspect_move
from mzpipe.trained.player import Player
from mzpipe.trained.watched import WatchedGame

from .runs import PENDULUM, make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", *PENDULUM)


def test_player_returns_actions_that_the_environment_takes(run):
    player, env = Player.load(run), gymnasium.make("Pendulum-v1")
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        decision = player.act(observation)
        assert env.action_space.contains(decision.action)
        candidate = player.search.candidates_BAD[0, decision.action_index]
        np.testing.assert_allclose(decision.action, 2.0 * candidate, rtol=1e-6)
        observation, *_ = env.step(decision.action)
    assert decision.visits.shape == (6,)


def test_watched_game_plays_the_candidates_of_its_last_decision(run):
    with WatchedGame(Player.load(run), seed=3) as watched:
        watched.begin()
        for _ in range(3):
            decision = watched.decide().decision
            assert watched.names[decision.action_index] == f"{decision.action[0]:.3g}"
            watched.play(decision.action_index)
        assert watched.step == 3 and watched.returns[0] < 0.0


def test_inspection_names_the_roots_candidates_and_unrolls_along_the_vectors_that_were_played(run):
    player = Player.load(run, leaves=1)
    inspection = inspect_move(player, 0, 2, seed=0, progress=lambda *_: None)
    tree, decision, model = inspection.tree, inspection.position.decision, player.agent.model
    assert len(set(inspection.names)) == 6
    assert inspection.foreseen[1].name == inspection.names[decision.action_index] == f"{decision.action[0]:.3g}"
    for node in range(1, len(tree.parent_K)):
        word = f"candidate {tree.action_K[node]}" if tree.parent_K[node] else inspection.names[tree.action_K[node]]
        assert inspection.node_names[node] == word
    with torch.no_grad():
        state = model.represent(torch.from_numpy(inspection.position.observation_S[None]))
        reward, state = model.step(state, torch.from_numpy(decision.action[None] / 2.0))
        output = model.sampled_output(state, reward)
    assert inspection.foreseen[1].reward == pytest.approx(float(model.reward(output)), rel=1e-4, abs=1e-5)
    assert inspection.foreseen[1].value == pytest.approx(float(model.value(output)), rel=1e-4, abs=1e-5)


def test_page_of_an_inspection_has_the_numbers_of_the_chosen_action(run, capsys, tmp_path):
    page = tmp_path / "page.html"
    assert main(["inspect", str(run), "--step", "1", "--html", str(page)]) == ExitCode.FINISHED
    chosen = capsys.readouterr().out.partition("step 1: ")[2].partition(", value")[0]
    assert f"<dd>{chosen}</dd>" in page.read_text() and "candidate " in page.read_text()


def test_play_needs_a_list_of_actions_and_says_so_in_one_line(run, capsys):
    assert main(["play", str(run)]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "Pendulum-v1 has sampled actions (game.gymnasium.sampled_actions)" in said and said.count("\n") == 1


def test_evaluation_scores_such_an_agent(run, capsys):
    assert main(["eval", str(run), "--episodes", "1"]) == ExitCode.FINISHED
    assert "Pendulum-v1" in capsys.readouterr().out
