"""The model's sizes that a rehearsal finds, and that every reader of its result gets the same."""

import dataclasses
import json

import pytest

from mzpipe.games import describe_game
from mzpipe.launch.rehearsal import RESULT_FILE, describe_model, read_prepared
from mzpipe.nets import FlatWeights, Model
from tests.tiny import tiny_profile


@pytest.mark.parametrize("consistency", ["false", "true"])
def test_prepared_names_the_state_that_is_published_without_training_heads(tmp_path, consistency):
    profile = tiny_profile(f"network.consistency={consistency}")
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    flat = FlatWeights(Model(profile.network, game.observation_shape, game.num_actions))
    assert prepared.model.state == flat.fields and prepared.model.weights == 4 * flat.size
    (tmp_path / RESULT_FILE).write_text(json.dumps(dataclasses.asdict(prepared)))
    assert read_prepared(tmp_path) == prepared
