"""`mzpipe scores RUN...`: tables, JSON and a page; one line if something is wrong."""

import json

import pytest

from mzpipe.cli import eval as eval_verb
from mzpipe.cli.main import main
from mzpipe.runs.scores import Evaluation, ScoresFile
from mzpipe.trained.evaluate import Scores


@pytest.fixture
def make_run(tmp_path):
    """A run directory of Pong with one evaluation."""

    def make(name, return_mean, env_steps=100_000):
        path = tmp_path / name
        path.mkdir()
        (path / "profile.toml").write_text('[game]\nname = "Pong"\n[stop]\nminutes = 1\n')
        ScoresFile(path / "scores.csv").append(Evaluation(1, 1, env_steps, return_mean, 0.5, 20))
        return str(path)

    return make


def test_scores_prints_its_tables(make_run, capsys):
    assert main(["scores", make_run("a", 14.6), make_run("b", -20.7)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "a 20 14.6 +- 0.5 100,000 greedy 1.000" in printed
    assert "Pong 2 -3.05 +- 25 0.500 -6.7 20.1 16.7" in printed
    assert "mean 0.500 0.000 to 1.000 0.397 1.156 1.059" in printed
    assert "intervals of 2 runs a game are narrower than they should be" in printed


def test_json_and_html_are_written(make_run, tmp_path):
    files = [tmp_path / "scores.json", tmp_path / "scores.html"]
    assert main(["scores", make_run("a", 14.6), "--json", str(files[0]), "--html", str(files[1])]) == 0
    assert json.loads(files[0].read_text())["runs"][0]["human_normalised"] == 1.0
    assert "<title>Pong: mzpipe scores</title>" in files[1].read_text()


def test_runs_that_are_no_match_are_refused_in_one_line_and_shown_with_mixed(make_run, capsys):
    paths = [make_run("a", 1.0), make_run("b", 2.0, env_steps=400_000)]
    assert main(["scores", *paths]) == 2
    line = "Atari: env steps differ by more than 10%: 100,000 (a) to 400,000 (b)"
    assert capsys.readouterr().err == f"mzpipe scores: {line}: compare like with like, or add --mixed\n"
    assert main(["scores", *paths, "--mixed"]) == 0
    assert f"mixed: {line}" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_run_and_what_cannot_be_written_are_one_line_each(make_run, tmp_path, capsys):
    assert main(["scores", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err == f"mzpipe scores: {tmp_path}/nothing: no such run or file\n"
    for option in ("--json", "--html"):
        assert main(["scores", make_run(option.strip("-"), 1.0), option, str(tmp_path / "none" / "f")]) == 74
        expected = f"mzpipe scores: {option} {tmp_path}/none/f: no such directory: {tmp_path}/none\n"
        assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("description", "normalised", "end"),
    [
        ("Atari Pong: 84x84 grey", {"human_normalised": 1.0}, "env steps); human-normalised 1.00"),
        ("CartPole-v1: 4 float32 values", {}, "env steps)"),
    ],
)
def test_eval_writes_what_scores_reads_and_normalises_atari_games(
    tmp_path, monkeypatch, capsys, description, normalised, end
):
    scores = Scores(
        checkpoint="best_1",
        returns=[14.0, 15.2],
        seeds=[0],
        protocol="greedy",
        protocol_settings={},
        weights_version=3,
        env_steps=100_000,
        learner_steps=40,
        game=description,
        num_players=1,
        num_simulations=10,
    )
    monkeypatch.setattr(eval_verb, "evaluate", lambda *_: scores)
    path = tmp_path / "eval.json"
    assert main(["eval", str(tmp_path / "run"), "--json", str(path)]) == 0
    assert " ".join(capsys.readouterr().out.split()).endswith(end)
    written = json.loads(path.read_text())
    assert {name: value for name, value in written.items() if name == "human_normalised"} == normalised
    assert main(["scores", str(path)]) == 0
    assert description.split(":")[0].removeprefix("Atari ") in capsys.readouterr().out
