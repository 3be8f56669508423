"""Network outputs of roots that are averaged over a game's symmetries."""

import re

import numpy as np
import pytest

from mzpipe.errors import UsageError
from mzpipe.games import describe_game
from mzpipe.trained.player import Player
from tests.tiny import tiny_profile
from tests.trained.runs import BOARD, make_run

HISTORY = [0, 5, 8]
RULES = ("search.model=rules",)


@pytest.mark.parametrize(
    ("options", "choices"),
    [((), {}), ((), {"leaves": 4}), ((), {"reuse": True}), (RULES, {}), (RULES, {"reuse": True})],
    ids=["learned", "leaves", "reuse", "rules", "rules, reuse"],
)
def test_a_turned_position_has_the_averages_of_the_position(tmp_path, options, choices):
    player = Player.load(make_run(tmp_path / "run", *BOARD, *options), num_simulations=20, symmetries=True, **choices)
    alone = Player.load(tmp_path / "run", num_simulations=20)
    decision, plain = player.consider(HISTORY), alone.consider(HISTORY)
    values, differs = [plain.network_value], []
    for symmetry in describe_game(tiny_profile(*BOARD).game).symmetries:
        turned = symmetry.turned_actions(np.array(HISTORY)).tolist()
        other = player.consider(turned)
        assert other.network_value == pytest.approx(decision.network_value, abs=1e-5)
        np.testing.assert_allclose(other.prior, decision.prior[list(symmetry.actions)], rtol=1e-3, atol=1e-6)
        values.append(alone.consider(turned).network_value)
        differs.append(abs(values[-1] - plain.network_value) > 0.01)
    assert decision.network_value == pytest.approx(np.mean(values), abs=1e-5)
    assert any(differs)


def after_one_action(tree):
    """The network's value after each action of the root that was searched."""
    nodes = np.flatnonzero(tree.parent_K == 0)
    return dict(zip(tree.action_K[nodes].tolist(), tree.raw_value_K[nodes].tolist(), strict=True))


def test_the_states_of_roots_are_those_of_the_positions_as_they_are(tmp_path):
    averaged = Player.load(make_run(tmp_path / "run", *BOARD), num_simulations=20, symmetries=True)
    alone = Player.load(tmp_path / "run", num_simulations=20)
    averaged.consider(HISTORY)
    alone.consider(HISTORY)
    found, expected = after_one_action(averaged.tree()), after_one_action(alone.tree())
    shared = found.keys() & expected.keys()
    assert shared
    assert [found[action] for action in shared] == pytest.approx([expected[action] for action in shared], rel=1e-4)


def test_symmetries_of_a_game_without_any_are_refused(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=re.escape("symmetries: CartPole-v1 declares none: leave it out")):
        Player.load(run, symmetries=True)
