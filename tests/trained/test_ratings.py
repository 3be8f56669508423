"""Ratings of a run's checkpoints: which players there are, what is refused, and where the ratings go."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from mzpipe.runs.directory import RunDirectory
from mzpipe.trained.ratings import Terms, rate, write_ratings
from tests.trained.runs import BOARD, CHECKPOINT, make_run

TERMS = Terms(rollouts=(5,), openings=2, opening_moves=2)


@pytest.fixture
def run(tmp_path):
    """A run of tic-tac-toe with two checkpoints, 300 and 900 env steps old."""
    path = make_run(tmp_path / "run", *BOARD)
    store = CheckpointStore(path / "checkpoints")
    loaded = store.load(CHECKPOINT)
    loaded.state["env_steps"] = 900
    store.save("step_00000090", loaded, pointer=LATEST)
    return path


def test_every_checkpoint_is_rated_together_with_fixed_opponents(run):
    ratings = rate(RunDirectory(run), TERMS, lambda *_: None)
    assert {rating.name for rating in ratings} == {"random", "rollouts-5", CHECKPOINT, "step_00000090"}
    assert [rating.elo for rating in ratings] == sorted((rating.elo for rating in ratings), reverse=True)
    assert next(rating.elo for rating in ratings if rating.name == "random") == 0.0
    assert all(rating.low <= rating.elo <= rating.high for rating in ratings)
    assert all(rating.games == 12 and 0.0 <= rating.score <= 1.0 for rating in ratings)
    assert {rating.env_steps for rating in ratings} == {None, 300, 900}


def test_ratings_repeat_with_the_seed(run):
    assert rate(RunDirectory(run), TERMS, lambda *_: None) == rate(RunDirectory(run), TERMS, lambda *_: None)


def test_ratings_of_checkpoints_become_curves_over_env_steps(run):
    ratings = rate(RunDirectory(run), TERMS, lambda *_: None)
    write_ratings(RunDirectory(run), ratings)
    curves = EventAccumulator(str(run / "tensorboard")).Reload()
    elo = {rating.env_steps: rating.elo for rating in ratings if rating.env_steps}
    points = {point.step: point.value for point in curves.Scalars("eval/elo")}
    assert points == pytest.approx(elo) and set(points) == {300, 900}
    assert {"eval/elo_low", "eval/elo_high"} <= set(curves.Tags()["scalars"])


def test_verb_prints_a_table_and_writes_json(run, tmp_path, capsys):
    words = ["elo", str(run), "--checkpoints", CHECKPOINT, "--rollouts", "5", "--openings", "1"]
    assert main([*words, "--json", str(tmp_path / "elo.json")]) == 0
    printed = capsys.readouterr().out
    assert CHECKPOINT in printed and "rollouts-5" in printed and "random play is 0" in printed
    fields = json.loads((tmp_path / "elo.json").read_text())
    assert {each["name"] for each in fields} == {"random", "rollouts-5", CHECKPOINT}
    assert all(set(each) == {"name", "elo", "low", "high", "games", "score", "env_steps"} for each in fields)


def test_a_game_of_one_player_is_refused(tmp_path, capsys):
    path = make_run(tmp_path / "cartpole")
    assert main(["elo", str(path)]) == ExitCode.USAGE
    assert (
        "CartPole-v1 is not a board game: only two-player games have ratings (use mzpipe eval)"
        in capsys.readouterr().err
    )


def test_a_checkpoint_that_is_not_there_is_refused(run, capsys):
    assert main(["elo", str(run), "--checkpoints", "step_7"]) != 0
    assert "no such checkpoint; there are: " in capsys.readouterr().err


def test_less_than_one_opening_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        main(["elo", str(run), "--openings", "0"])
    assert "--openings" in capsys.readouterr().err


def test_a_directory_without_a_run_is_refused(tmp_path, capsys):
    assert main(["elo", str(tmp_path)]) != 0
    assert "no run here" in capsys.readouterr().err
