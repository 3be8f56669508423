"""A trained agent whose actions are vectors: what its player returns, and what verbs do with it."""

import gymnasium
import numpy as np
import pytest

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode
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


@pytest.mark.parametrize("words", [["inspect", "--step", "0", "--html", "page.html"], ["play"]])
def test_verbs_that_need_a_list_of_actions_say_so_in_one_line(run, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], str(run), *words[1:]]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "Pendulum-v1 has sampled actions (game.gymnasium.sampled_actions)" in said and said.count("\n") == 1


def test_evaluation_scores_such_an_agent(run, capsys):
    assert main(["eval", str(run), "--episodes", "1"]) == ExitCode.FINISHED
    assert "Pendulum-v1" in capsys.readouterr().out
