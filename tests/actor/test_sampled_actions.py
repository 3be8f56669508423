"""Sampled actions over a real server and ring: what is recorded is what the network drew and the game was given."""

import numpy as np
import torch

from mzpipe.games import make_game
from mzpipe.ipc.schema import FreshTargets
from mzpipe.nets import FlatWeights, Model
from mzpipe.planning import derive_seed
from tests.tiny import random_model, tiny_profile

from .test_actor import play

K, D = 6, 1
SAMPLED = ("game.name=Pendulum-v1", f"game.gymnasium.sampled_actions={K}")


def test_recorded_vectors_replay_to_the_same_game_and_are_those_that_the_network_draws(tmp_path):
    profile = tiny_profile(*SAMPLED)
    plane, records = play(tmp_path, 12, *SAMPLED)
    model = random_model(profile, plane, 0)
    assert any(len(np.unique(record.steps.action)) > 1 for record in records)
    for record in records:
        length = int(record.length[0])
        frames, vectors_LV = record.frame[:length], record.steps.vectors[:length]
        with torch.no_grad():
            drawn = model.initial_inference(torch.from_numpy(frames)).policy_logits_BA[:, K:].numpy()
        np.testing.assert_allclose(vectors_LV[:, D:], drawn, atol=1e-4)
        candidates = vectors_LV[:, D:].reshape(length, K, D)
        played = candidates[np.arange(length), record.steps.action[:length]]
        np.testing.assert_array_equal(vectors_LV[:, :D], played)
    first = {int(each.game[0]): each for each in records if each.episode[0] == 0 == each.offset[0] and each.game[0] < 3}
    game = make_game(profile.game, 3, derive_seed(0, "actor", 0, 0, 0, 0, "game"))
    frames = game.reset()
    for move in range(min(int(record.length[0]) for record in first.values())):
        for each, record in first.items():
            np.testing.assert_array_equal(frames[each], record.frame[move])
        step = game.step(np.stack([first[each].steps.vectors[move, :D] for each in range(3)]))
        np.testing.assert_array_equal(step.reward_B, [first[each].steps.reward[move] for each in range(3)])
        frames = step.frame_BF


def test_reanalysis_stores_new_candidates_with_the_new_policy_and_keeps_what_was_played():
    from mzpipe.replay.reanalysis import Reanalysis, _Group
    from tests.replay.test_vectors import A, V, make_record, make_table
    from tests.replay.test_vectors import D as SIZE

    table = make_table()
    table.insert(make_record(0, end=1), actor=0, epoch=0)
    before = table.steps.vectors[:5].copy()
    fresh = FreshTargets(
        *(np.array([9]) for _ in range(3)),
        search_policy=np.tile(np.float32([1, 0, 0]), (2, 1)),
        root_value=np.float32([5, 6]),
        bootstrap_value=np.float32([7, 8]),
        candidates=-np.arange(2.0 * A * SIZE, dtype=np.float32).reshape(2, -1),
    )
    reanalysis = Reanalysis.__new__(Reanalysis)
    reanalysis._table = table
    reanalysis._store(fresh, _Group(np.array([1, 3]), np.array([-1, -1]), []))
    after = table.steps.vectors[:5]
    np.testing.assert_array_equal(after[:, :SIZE], before[:, :SIZE])
    np.testing.assert_array_equal(after[[1, 3], SIZE:], fresh.candidates)
    np.testing.assert_array_equal(after[[0, 2, 4]], before[[0, 2, 4]])
    np.testing.assert_array_equal(table.steps.search_policy[[1, 3]], fresh.search_policy)
    assert after.shape[1] == V


def test_weights_of_such_a_model_travel_flat(tmp_path):
    profile = tiny_profile(*SAMPLED)
    models = [Model(profile.network, (3,), K, action_size=D) for _ in range(2)]
    FlatWeights(models[1]).write(FlatWeights(models[0]).read())
    observation = torch.rand(2, 3)
    one, other = (model.eval().initial_inference(observation).policy_logits_BA for model in models)
    assert torch.equal(one, other)
