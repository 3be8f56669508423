"""Every trained run that comes with mzpipe is whole, plays far better than chance, and is in the wheel."""

import configparser
import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

import mzpipe
from mzpipe.cli.card import CARD
from mzpipe.config import OpponentName
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runs.releases import shipped_releases
from mzpipe.trained.evaluate import Examination, evaluate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "releases"
# Of all of them together, as they stand in every clone and wheel.
MOST_BYTES = 8 << 20


class Exam(NamedTuple):
    """A few games, cut after some moves, and a mean return far below the card's that random play does not reach."""

    least: float
    episodes: int = 1
    moves: int = 0
    opponent: OpponentName | None = None


EXAMS = {
    "cartpole": Exam(least=200.0),
    "lunarlander": Exam(least=0.0, episodes=4),
    "tictactoe": Exam(least=0.0, episodes=4, opponent="random"),
    "connect-four": Exam(least=0.0, episodes=4, opponent="random"),
    "atari-pong-cpu": Exam(least=0.0, moves=200),  # random play has lost three points by then
}


def files_of(path):
    return {each: each.stat().st_mtime_ns for each in path.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_releases())
def test_release_plays_far_better_than_chance_and_stays_as_it_is(name, tmp_path):
    exam, release = EXAMS[name], FOLDER / name
    before = files_of(release)
    assert mzpipe.Run(name).player().agent.checkpoint == mzpipe.Player.load(name).agent.checkpoint
    run = RunDirectory(Path(shutil.copytree(release, tmp_path / name)))
    profile = mzpipe.Run(name).profile
    game = dataclasses.replace(profile.game, max_episode_moves=exam.moves or profile.game.max_episode_moves)
    save_profile(dataclasses.replace(profile, game=game), run.profile)
    examination = Examination(episodes=exam.episodes, opponent=exam.opponent, first_seed=7)
    scores = evaluate(run, examination, lambda done, total: None)
    assert sum(scores.returns) / len(scores.returns) >= exam.least
    assert files_of(release) == before


@pytest.mark.parametrize("name", shipped_releases())
def test_release_has_a_card_with_a_command_that_scores_it_and_no_more_than_it_needs(name):
    card = (FOLDER / name / CARD).read_text()
    assert card.startswith(f"# {name}: a trained run of ")
    assert f"`mzpipe eval {name}" in card and "## What it cannot do" in card and "+changes" not in card
    run = mzpipe.Run(name)
    (checkpoint,) = run.checkpoints
    assert (checkpoint / "optimizer.safetensors").stat().st_size < 100
    assert run.scores and not run.profile.replay.source
    assert sorted(path.name for path in run.path.iterdir()) == [CARD, "checkpoints", "profile.toml", "scores.csv"]


def test_wheel_has_every_file_of_the_releases():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = [each.strip() for each in setup["options.package_data"]["mzpipe"].split(",")]
    shipped = {path for pattern in patterns for path in (ROOT / "mzpipe").glob(pattern) if path.is_file()}
    wanted = {ROOT / "mzpipe/releases" / path.relative_to(FOLDER) for path in FOLDER.rglob("*") if path.is_file()}
    assert wanted <= shipped
    assert sum(path.stat().st_size for path in wanted) < MOST_BYTES
