"""Evaluation of a saved run: what is played under which protocol, and what is refused before anything is played."""

import json
import tempfile

import numpy as np
import pytest

from mzpipe.cli.main import main
from mzpipe.config import GREEDY
from mzpipe.errors import CheckpointError, ConfigError, UsageError
from mzpipe.evaluator.versus import make_episodes
from mzpipe.games import make_game
from mzpipe.nets import Model, numpy_state, restore_model
from mzpipe.planning import LanePlanner, derive_seed, greedy_search
from mzpipe.runs.checkpoint import LATEST, Checkpoint, CheckpointStore, step_name
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.trained import evaluate as module
from mzpipe.trained.evaluate import Examination, evaluate
from tests.tiny import EVALUATOR, make_plane, publish, started_server, tiny_profile
from tests.trained import runs
from tests.unchecked import save_unchecked

PONG = ("game.name=Pong", "network.kind=residual", "network.num_channels=2", "game.atari.image_size=84")


@pytest.fixture
def make_run(tmp_path):
    """A run of a profile with checkpoints of these learner steps, of CartPole unless another game is named."""

    def make(*overrides, steps=(10,), game=None):
        run, profile = RunDirectory(tmp_path / "run"), tiny_profile(*overrides)
        run.path.mkdir()
        save_profile(profile, run.profile)
        model = numpy_state(Model(profile.network, *((4,), 2) if profile.network.kind == "mlp" else ((1, 84, 84), 6)))
        for step in steps:
            state = {"env_steps": 30 * step, "learner_steps": step, "weights_version": 2, "protocol": GREEDY}
            state["game"] = game or profile.game.name
            CheckpointStore(run.checkpoints).save(step_name(step), Checkpoint(model, {}, state), pointer=LATEST)
        return run

    return make


@pytest.fixture
def played(monkeypatch):
    """Collects what would be played: (profile, seeds)."""
    calls = []

    def play(agent, seeds, leaves, progress):
        calls.append((agent.profile, seeds))
        return [1.0] * agent.profile.evaluator.episodes * len(seeds)

    monkeypatch.setattr(module, "_play", play)
    return calls


def scores_of(run, **examination):
    return evaluate(run, Examination(**examination), lambda done, total: None)


@pytest.mark.slow
def test_evaluate_plays_the_asked_number_of_whole_games_with_each_seed(make_run):
    run, progress = make_run(), []
    scores = evaluate(run, Examination(episodes=3, num_seeds=2, first_seed=5), lambda *now: progress.append(now))
    assert (len(scores.returns), scores.seeds) == (6, [5, 6])
    assert scores.returns[:3] != scores.returns[3:]
    assert scores_of(run, episodes=3, first_seed=6).returns == scores.returns[3:], "a seed's games are its own"
    assert progress[-1] == (6, 6) and progress == sorted(progress)


def test_evaluate_makes_no_file_in_the_temporary_folder(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert len(scores_of(make_run(), episodes=2).returns) == 2


def test_evaluate_plays_as_an_evaluator_does_over_its_lane(make_run, tmp_path):
    run = make_run()
    profile = tiny_profile("evaluator.episodes=5")
    plane = make_plane(tmp_path, profile)
    model = Model(profile.network, (4,), 2)
    restore_model(model, CheckpointStore(run.checkpoints).load(LATEST))
    publish(plane, model)
    server, (lane,) = started_server(profile, plane), plane.lane_clients(EVALUATOR)
    game = make_game(profile.game, 5, derive_seed(0, "eval"), training=False)
    planner = LanePlanner(lane, greedy_search(profile.search, 0), num_trees=5, num_actions=2, seed=0)
    episodes = make_episodes(profile, game, planner, 0)
    episodes.begin()
    while not episodes.finished:
        episodes.do_work()
        server.do_work()
    assert scores_of(run, episodes=5).returns == episodes.results.returns


@pytest.mark.slow
def test_lines_of_play_are_counted_without_saying_how_many_there_will_be(tmp_path):
    run, progress = RunDirectory(runs.make_run(tmp_path / "board", *runs.BOARD)), []
    scores = evaluate(run, Examination(opponent="every_line"), lambda *now: progress.append(now))
    assert progress[-1] == (len(scores.returns), 0) and {total for _, total in progress} == {0}


def test_evaluate_plays_twenty_games_with_one_seed_unless_it_is_told_how_many(make_run, played):
    scores = scores_of(make_run())
    assert (played[0][0].evaluator.episodes, played[0][1]) == (20, [0])
    assert (scores.protocol, scores.protocol_settings) == (
        "greedy",
        {"play": "greedy actions without root noise, true rewards, whole games"},
    )


@pytest.mark.parametrize(
    ("asked", "episodes", "seeds"),
    [
        ({}, 32, [0, 1, 2]),
        ({"episodes": 5}, 5, [0]),
        ({"num_seeds": 2}, 32, [0, 1]),
        ({"episodes": 5, "num_seeds": 2, "first_seed": 7}, 5, [7, 8]),
        ({"protocol": "muzero"}, 100, [0]),
    ],
)
@pytest.mark.slow
def test_evaluate_takes_the_protocols_episodes_and_seeds_unless_it_is_told_how_many(
    make_run, played, asked, episodes, seeds
):
    scores_of(make_run(*PONG, "game.protocol=atari100k"), **asked)
    assert (played[0][0].evaluator.episodes, played[0][1]) == (episodes, seeds)


@pytest.mark.slow
def test_evaluate_runs_the_emulator_as_the_protocol_says_and_shows_the_network_what_it_knows(make_run, played):
    run = make_run(*PONG, "game.atari.noop_max=3", "game.max_episode_moves=9")
    scores = scores_of(run, protocol="muzero")
    game = played[0][0].game
    assert (game.atari.noop_max, game.max_episode_moves, game.atari.image_size) == (30, 0, 84)
    assert scores.protocol == "muzero" and scores.game.endswith("cap 108000 frames, protocol muzero")
    assert scores.protocol_settings == {
        "play": "greedy actions without root noise, true rewards, whole games",
        "frame_skip": 4,
        "max_pool": True,
        "sticky_actions": 0.0,
        "noop_max": 30,
        "max_episode_frames": 108_000,
        "full_action_space": False,
    }
    own = scores_of(run)
    assert (own.protocol, own.protocol_settings["noop_max"], own.protocol_settings["max_episode_moves"]) == (
        GREEDY,
        3,
        9,
    )


@pytest.mark.slow
def test_evaluate_refuses_a_protocol_with_other_actions_than_the_network_has(make_run, played):
    with pytest.raises(UsageError) as caught:
        scores_of(make_run(*PONG), protocol="machado")
    assert str(caught.value) == (
        "--protocol machado: Pong has 18 actions under it, the run's network knows 6: "
        "train with game.atari.full_action_space=true"
    )
    assert played == []


@pytest.mark.slow
def test_evaluate_takes_another_spelling_for_the_same_game(make_run, played):
    assert scores_of(make_run(*PONG, game="ALE/Pong-v5")).learner_steps == 10


@pytest.mark.parametrize(
    ("examination", "error", "text"),
    [
        ({"protocol": "machdo"}, ConfigError, r"^--protocol 'machdo': unknown protocol; did you mean machado\?$"),
        (
            {"protocol": "muzero"},
            ConfigError,
            "^game.protocol='muzero': CartPole-v1 is not an Atari game, .*: leave it out$",
        ),
        ({"checkpoint": "99"}, CheckpointError, "step_00000099: no such checkpoint; there are: step_00000010$"),
        ({"checkpoint": "best"}, CheckpointError, "best: no such checkpoint; there are: step_00000010$"),
    ],
)
def test_evaluate_refuses_what_cannot_be_played_in_one_line(make_run, played, examination, error, text):
    with pytest.raises(error, match=text) as caught:
        scores_of(make_run(), **examination)
    assert "\n" not in str(caught.value) and played == []


def test_evaluate_refuses_a_run_without_checkpoints(make_run, played):
    with pytest.raises(CheckpointError, match=r"checkpoints: the run has saved no checkpoint yet$"):
        scores_of(make_run(steps=()))


def test_evaluate_refuses_a_checkpoint_that_is_not_finite(make_run, played):
    run = make_run()
    store = CheckpointStore(run.checkpoints)
    loaded = store.load(LATEST)
    loaded.weights["prediction.value.bias"][0] = np.nan
    save_unchecked(store, step_name(10), loaded, pointer=LATEST)
    with pytest.raises(CheckpointError, match=r"step_00000010: cannot be used: prediction\.value\.bias in weights\."):
        scores_of(run)
    assert played == []


def test_evaluate_refuses_a_checkpoint_of_another_game(make_run, played):
    with pytest.raises(CheckpointError) as caught:
        scores_of(make_run(game="LunarLander-v3"))
    assert str(caught.value).endswith(
        "step_00000010: a checkpoint of LunarLander-v3, but the run's profile has game.name='CartPole-v1'"
    )
    assert played == []


def test_eval_takes_a_learner_step_and_writes_what_the_contract_says(make_run, tmp_path, capsys):
    run, file = make_run(steps=(10, 20)), tmp_path / "scores.json"
    words = ["eval", str(run.path), "--checkpoint", "10", "--episodes", "2", "--seeds", "2", "--json", str(file)]
    assert main(words) == 0
    said, scores = capsys.readouterr().out.replace("\n", " "), json.loads(file.read_text())
    assert "step_00000010: mean return " in said and "over 4 episodes of 2 seeds" in said
    assert (scores["checkpoint"], scores["learner_steps"], scores["env_steps"]) == ("step_00000010", 10, 300)
    assert scores["episodes"] == len(scores["returns"]) == 4
    assert scores["return_mean"] == np.mean(scores["returns"])
    assert (scores["seeds"], scores["protocol"], scores["weights_version"]) == ([0, 1], "greedy", 2)
    assert scores["protocol_settings"]["play"].startswith("greedy actions")


@pytest.mark.parametrize(
    "words", [["--seeds", "0"], ["--episodes", "0"], ["--seed", "-1"], ["--seeds", "many"]], ids=" ".join
)
def test_eval_refuses_odd_numbers(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["eval", "run", *words])
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err.splitlines()[-1]


def test_eval_says_once_that_a_game_seems_to_have_no_end(make_run, monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.games.endless.LONG_MOVES", 3)
    monkeypatch.setattr("mzpipe.games.endless.LONGER", 1)
    run = make_run()
    assert main(["eval", str(run.path), "--episodes", "9", "--seeds", "2"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mzpipe eval: an episode goes on after ") and "game.max_episode_moves" in line
