"""A game of one's own through a whole run: the permission reaches every process and is not kept with the run."""

import pytest

from tests.runs.driver import PROFILE, mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
OVERRIDES = ("game.name=tests.games.own_games:Walk", "stop.learner_steps=20")


@pytest.mark.parametrize("serial", [True, False])
def test_train_and_eval_play_a_game_of_ones_own_where_they_are_allowed_to(tmp_path, serial):
    profile, run = tmp_path / "tiny.toml", tmp_path / "run"
    profile.write_text(PROFILE)
    words = ["train", profile, "--run-dir", run, *(word for override in OVERRIDES for word in ("--set", override))]
    refused = mzpipe(*words)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "give --allow-env-import" in refused.stderr
    trained = mzpipe(*words, "--allow-env-import", *(["--serial"] if serial else []))
    assert trained.returncode == 0, trained.stderr
    assert "allow" not in (run / "profile.toml").read_text()
    assert mzpipe("eval", run, "--episodes", 2).returncode == 2
    scored = mzpipe("eval", run, "--episodes", 2, "--allow-env-import")
    assert "mean return" in scored.stdout, scored.stderr
