"""`mzpipe export --release`: a small run that plays as the whole one does, its card, and what is refused."""

import json

import numpy as np
import pytest

import mzpipe
from mzpipe.cli.main import main
from mzpipe.runs.checkpoint import BEST, CheckpointStore
from mzpipe.runs.scores import Evaluation, ScoresFile, read_scores
from mzpipe.telemetry import TensorBoardWriter
from tests.trained.runs import BOARD, CHECKPOINT, make_run

SCORES = [Evaluation(version, 10 * version, 10 * version, 9.0 + version, 1.0, 4) for version in (11, 31, 51)]


def write_curves(directory, monkeypatch):
    """The curves of two sessions, of 4 and 5 minutes up to env step 300; what came later took an hour."""
    day = 24 * 60 * 60
    for session in ({100: 0, 200: 240}, {250: day, 300: day + 300, 400: day + 3600}):
        writer = TensorBoardWriter(directory)
        for step, time_s in session.items():
            monkeypatch.setattr("mzpipe.telemetry.tensorboard.time.time", lambda time_s=time_s: time_s)
            writer.write_scalars(step, {"loss/total": 1.0})
        writer.close()
    monkeypatch.undo()


@pytest.fixture
def trained(tmp_path):
    """A run with a checkpoint of weights 31, whose optimizer has a tensor, and evaluations before, at and after it."""
    run = make_run(tmp_path / "whole")
    store = CheckpointStore(run / "checkpoints")
    loaded = store.load(CHECKPOINT)
    store.save(CHECKPOINT, loaded._replace(optimizer={"step": np.ones(3)}), pointer=BEST)
    for evaluation in SCORES:
        ScoresFile(run / "scores.csv").append(evaluation)
    return run


def export(run, out, *words):
    return main(["export", "--release", str(run), "--to", str(out), *map(str, words)])


def test_release_has_the_model_its_settings_and_its_scores_and_no_optimizer(trained, tmp_path, capsys):
    assert export(trained, tmp_path / "mine") == 0
    run, whole = mzpipe.Run(tmp_path / "mine"), mzpipe.Run(trained)
    assert run.profile == whole.profile and run.scores == SCORES[:2]
    store = CheckpointStore(run.path / "checkpoints")
    released, loaded = store.load("best"), CheckpointStore(trained / "checkpoints").load(CHECKPOINT)
    assert store.names() == [CHECKPOINT] and store.pointed("latest") == CHECKPOINT
    assert released.state == loaded.state and released.optimizer == {}
    assert all(np.array_equal(released.weights[name], array) for name, array in loaded.weights.items())
    assert sorted(path.name for path in run.path.iterdir()) == [
        "README.md",
        "checkpoints",
        "profile.toml",
        "scores.csv",
    ]
    assert f"(its card: {tmp_path / 'mine' / 'README.md'})" in capsys.readouterr().out


def test_release_plays_as_the_whole_run_does(trained, tmp_path):
    assert export(trained, tmp_path / "mine") == 0
    observation = np.array([0.1, -0.2, 0.03, 0.4], np.float32)
    ours, theirs = (mzpipe.Run(path).player().act(observation) for path in (trained, tmp_path / "mine"))
    assert ours.value == theirs.value and np.array_equal(ours.visits, theirs.visits)


def test_card_tells_the_score_the_time_the_commands_and_the_limits(trained, tmp_path, monkeypatch):
    write_curves(trained / "tensorboard", monkeypatch)
    assert main(["eval", str(trained), "--episodes", "3", "--seeds", "2", "--json", str(tmp_path / "eval.json")]) == 0
    returns = json.loads((tmp_path / "eval.json").read_text())["returns"]
    assert export(trained, tmp_path / "mine", "--eval", tmp_path / "eval.json") == 0
    card = (tmp_path / "mine" / "README.md").read_text()
    assert card.startswith("# mine: a trained run of CartPole-v1\n")
    assert "| trained | 1970-01-02, 9m00s, " in card
    assert (
        f"| 6, greedy | {np.mean(returns):.2f} +- {np.std(returns):.2f} | `mzpipe eval mine --episodes 3 --seeds 2` |"
        in card
    )
    assert "| 4, greedy | 40.00 +- 1.00 | the run's own evaluation at 310 learner steps" in card
    assert "neither an optimizer nor a replay table" in card and f"mzpipe {mzpipe.version.__version__}" in card


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda run, out: (run / "scores.csv").unlink(), 2, "has no score, and a release needs one: train on"),
        (lambda run, out: out.mkdir(), 2, "exists already: remove it, or name another directory with --to"),
        (lambda run, out: (run / "checkpoints" / CHECKPOINT / "weights.safetensors").write_bytes(b""), 74, "damaged"),
    ],
)
def test_release_refuses_in_one_line_and_writes_nothing(trained, tmp_path, capsys, spoil, code, message):
    spoil(trained, tmp_path / "mine")
    assert export(trained, tmp_path / "mine") == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "mine" / "profile.toml").exists()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"weights_version": 51}, 2, f"of {CHECKPOINT}, weights 51, not of {CHECKPOINT}, the one released"),
        ({"returns": []}, 74, "not written by mzpipe eval --json: returns is []"),
        ({"seeds": ["`rm`"]}, 74, "not written by mzpipe eval --json: seeds is"),
        ({"protocol_settings": None}, 74, "not written by mzpipe eval --json: protocol_settings is None"),
    ],
)
def test_release_refuses_a_score_of_another_checkpoint_or_another_program(
    trained, tmp_path, capsys, changes, code, message
):
    assert main(["eval", str(trained), "--episodes", "1", "--json", str(tmp_path / "eval.json")]) == 0
    fields = json.loads((tmp_path / "eval.json").read_text()) | changes
    (tmp_path / "eval.json").write_text(json.dumps(fields))
    capsys.readouterr()
    assert export(trained, tmp_path / "mine", "--eval", tmp_path / "eval.json") == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_only_a_release_takes_a_score(trained, tmp_path, capsys):
    assert main(["export", str(trained), "--eval", str(tmp_path / "eval.json")]) == 2
    assert "--eval: only a release has a card" in capsys.readouterr().err


def test_card_of_a_board_game_names_the_opponent_and_how_to_play(tmp_path):
    run = make_run(tmp_path / "whole", *BOARD)
    ScoresFile(run / "scores.csv").append(SCORES[0])
    words = ["--opponent", "rollouts", "--opponent-simulations", "3", "--episodes", "2", "--simulations", "5"]
    assert main(["eval", str(run), *words, "--json", str(tmp_path / "eval.json")]) == 0
    assert export(run, tmp_path / "ttt", "--eval", tmp_path / "eval.json") == 0
    card = (tmp_path / "ttt" / "README.md").read_text()
    played = "--episodes 2 --opponent rollouts --opponent-simulations 3 --simulations 5"
    assert f"`mzpipe eval ttt {played}`" in card and "| 2, greedy-versus-rollouts-3 | won " in card
    assert "`mzpipe play ttt --web` plays against it." in card
    assert read_scores(tmp_path / "ttt" / "scores.csv") == SCORES[:1]
