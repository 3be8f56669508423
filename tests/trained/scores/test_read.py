"""Where runs' scores are read from: run directories, and files of `mzpipe eval --json`."""

import json

import pytest

from mzpipe.errors import InputOutputError, UsageError
from mzpipe.runs.scores import Evaluation, ScoresFile
from mzpipe.trained.scores.read import read_runs

EVAL = {
    "return_mean": 12.5,
    "return_std": 2.0,
    "episodes": 32,
    "returns": [12.5] * 32,
    "protocol": "greedy: argmax of visits, no root noise, true rewards, whole games",
    "weights_version": 7,
    "env_steps": 100_000,
    "game": "Atari Pong (named 'ALE/Pong-v5'): 84x84 grey",
}


@pytest.fixture
def make_run(tmp_path):
    """A run directory with an evaluation for each of the returns."""

    def make(name, game="ALE/Pong-v5", returns=(1.0, 9.0, 5.0)):
        path = tmp_path / name
        path.mkdir(parents=True)
        (path / "profile.toml").write_text(f'[game]\nname = "{game}"\n[stop]\nminutes = 1\n')
        for place, return_mean in enumerate(returns, start=1):
            ScoresFile(path / "scores.csv").append(Evaluation(place, place, 1_000 * place, return_mean, 0.5, 20))
        return path

    return make


@pytest.fixture
def write_eval(tmp_path):
    """A file of `mzpipe eval --json`, with other fields where some are given."""

    def write(name="eval.json", **changes):
        path = tmp_path / name
        path.write_text(json.dumps({**EVAL, **changes}))
        return path

    return write


def test_a_run_directory_is_scored_by_its_last_evaluation(make_run):
    (run,) = read_runs([make_run("a")])
    assert (run.name, run.game, run.protocol) == ("a", "Pong", "greedy")
    assert (run.env_steps, run.episodes, run.return_mean, run.return_std) == (3_000, 20, 5.0, 0.5)
    assert run.curve == ((1_000, 1.0), (2_000, 9.0), (3_000, 5.0))


def test_a_run_directory_is_scored_by_its_best_evaluation_when_that_is_asked_for(make_run):
    (run,) = read_runs([make_run("a")], best=True)
    assert (run.env_steps, run.return_mean) == (2_000, 9.0)
    assert len(run.curve) == 3


def test_boards_of_different_sizes_are_different_games(make_run, write_eval):
    paths = [make_run("a", "go"), make_run("b", "go"), make_run("c", "chess")]
    with (paths[1] / "profile.toml").open("a") as file:
        file.write("[game.board]\nsize = 9\n")
    eval_9x9 = write_eval(game="go: 9x9 board, 4 planes, stack 1, 82 actions, 2 players, cap 162 moves")
    assert [run.game for run in read_runs([*paths, eval_9x9])] == ["go 19x19", "go 9x9", "chess", "go 9x9"]


def test_a_run_directory_has_the_protocol_that_its_evaluation_was_played_by(make_run):
    path = make_run("a")
    ScoresFile(path / "scores.csv").append(Evaluation(4, 4, 4_000, 7.0, 0.5, 32, protocol="atari100k"))
    assert [read_runs([path], best=best)[0].protocol for best in (False, True)] == ["atari100k", "greedy"]


def test_a_file_of_eval_is_a_run_of_one_evaluation(write_eval):
    (run,) = read_runs([write_eval()])
    assert (run.name, run.game, run.protocol, run.env_steps) == ("eval", "Pong", "greedy", 100_000)
    assert (run.episodes, run.return_mean, run.return_std) == (32, 12.5, 2.0)
    assert run.curve == ((100_000, 12.5),)


def test_a_protocol_that_has_a_name_is_that_name(write_eval):
    assert read_runs([write_eval(protocol="atari100k")])[0].protocol == "atari100k"


def test_runs_of_one_name_are_told_apart_by_their_paths(make_run):
    paths = [make_run("one/seed0"), make_run("two/seed0"), make_run("two/seed1")]
    assert [run.name for run in read_runs(paths)] == [str(paths[0]), str(paths[1]), "seed1"]


def test_a_run_named_twice_is_refused(make_run):
    path = make_run("a")
    with pytest.raises(UsageError, match=r"a/\.\./a: named twice: each run counts once"):
        read_runs([path, path / ".." / "a"])


def test_what_is_no_run_is_refused_by_its_name(make_run, tmp_path):
    with pytest.raises(UsageError, match=r"nothing: no such run or file"):
        read_runs([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: no run here \(no profile.toml\)"):
        read_runs([tmp_path / "empty"])
    with pytest.raises(UsageError, match=r"new: no scores yet: train on, or name a file of mzpipe eval --json"):
        read_runs([make_run("new", returns=())])


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("game", None, "game is None"),
        ("return_mean", "12", "return_mean is '12'"),
        ("return_mean", float("nan"), "return_mean is nan"),
        ("env_steps", True, "env_steps is True"),
        ("episodes", 1.5, "episodes is 1.5"),
    ],
)
def test_a_file_with_other_fields_is_refused_by_the_field(write_eval, field, value, text):
    with pytest.raises(InputOutputError, match=rf"eval.json: not written by mzpipe eval --json: {text}$"):
        read_runs([write_eval(**{field: value})])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("env_steps\n1\n", "not JSON: .*"), ("[1]", "it has no fields"), ("[" * 100_000, "not JSON: .*")],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, reason):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputOutputError, match=rf"a.json: not written by mzpipe eval --json: {reason}$"):
        read_runs([path])


def test_a_damaged_scores_file_is_named_with_its_line(make_run):
    path = make_run("a")
    (path / "scores.csv").write_text((path / "scores.csv").read_text() + "broken\n")
    with pytest.raises(InputOutputError, match=r"scores.csv, line 5: 'broken' is not a row of scores"):
        read_runs([path])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_score_that_is_no_number_is_refused_with_its_line(make_run, value):
    with pytest.raises(InputOutputError, match=rf"scores.csv, line 3: return {value} \+- 0.5 is not a score"):
        read_runs([make_run("a", returns=(1.0, float(value)))])
