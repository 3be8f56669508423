"""Real runs of board games; OpenSpiel alone plays every move of them again."""

import numpy as np
import pyspiel
import pytest

from mzpipe.replay.dataset import read_dataset
from tests.pipeline.driver import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SETTINGS = (
    "network.kind=residual",
    "network.downsample=none",
    "network.num_channels=4",
    "network.action_encoding=board",
    "replay.capacity_bytes=20000000",  # chess stores 25 kB a move
)
# What a run of the game uses besides.
CAPPED = ("learner.symmetries=true", "actor.fast_simulations=1")
GAMES = {
    "tic_tac_toe": ("tic_tac_toe", "terminations", CAPPED),
    "tic_tac_toe by its rules": ("tic_tac_toe", "terminations", (*CAPPED, "search.model=rules")),
    "chess": ("chess", "truncations", ()),
}
CAP = 20


def exported_games(run, path):
    """Episodes of a run that are stored from their first move on, each as arrays by name."""
    exported = mzpipe("export", run.directory, "--to", path)
    assert exported.returncode == 0, exported.stderr
    for part in read_dataset(path):
        for episode in np.unique(part["episode_ids"]):
            rows = np.flatnonzero(part["episode_ids"] == episode)
            if part["steps"][rows[0]] == 0:
                yield {name: column[rows] for name, column in part.items()}


def check_move(state, game, t):
    """Checks what was stored of move t against OpenSpiel; plays the move; returns whether its search was a full one."""
    mover, legal = state.current_player(), np.zeros_like(game["legal_actions"][t])
    legal[state.legal_actions()] = True
    assert np.array_equal(game["legal_actions"][t], legal)
    assert game["to_play"][t] == t % 2
    assert legal[game["actions"][t]]
    is_full = game["search_policies"][t].any()
    assert game["search_policies"][t].sum() == pytest.approx(float(is_full), abs=1e-3)
    assert not game["search_policies"][t][~legal].any()
    state.apply_action(int(game["actions"][t]))
    assert game["rewards"][t] == (state.returns()[mover] if state.is_terminal() else 0.0)
    assert game["terminations"][t] == state.is_terminal()
    return is_full


@pytest.mark.parametrize(("name", "ends", "choices"), GAMES.values(), ids=GAMES)
def test_every_move_of_a_run_is_legal_and_has_the_outcome_that_openspiel_gives_it(start, tmp_path, name, ends, choices):
    run = start(*SETTINGS, *choices, f"game.name={name}", f"game.max_episode_moves={CAP}", "stop.learner_steps=60")
    assert run.wait(200) == 0, run.output
    games, whole, full = list(exported_games(run, tmp_path / "dataset")), 0, []
    for game in games:
        state = pyspiel.load_game(name).new_initial_state()
        for t in range(len(game["actions"])):
            assert not state.is_terminal()
            full.append(check_move(state, game, t))
        assert not game["truncations"][:-1].any()
        assert game["truncations"][-1] == (len(game["actions"]) == CAP and not state.is_terminal())
        whole += int(game[ends][-1])
    assert whole > 5, f"{whole} of {len(games)} games have ended"
    if name == "tic_tac_toe":
        assert 0.05 < np.mean(full) < 0.6, f"{sum(full)} of {len(full)} moves had a full search"
    else:
        assert all(full)
