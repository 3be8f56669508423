"""A model with codes of chance: places, one dynamics function for each kind of edge, the encoder, every runtime."""

import dataclasses

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.games import describe_game
from mzpipe.nets import FlatWeights, Model, numpy_state, restore_model
from mzpipe.nets.chance import straight_through
from mzpipe.nets.engines.networks import make_networks, sample_observation
from mzpipe.nets.engines.own_networks import random_observations
from mzpipe.nets.model import training_only_names
from mzpipe.runs.checkpoint import Checkpoint
from tests.nets.test_engines import RUNTIMES
from tests.tiny import tiny_profile
from tests.trained.runs import BOARD, shaken_model

ACTIONS, CODES = 3, 4
SIZES = {"value_support_size": 3, "reward_support_size": 3, "hidden_size": 8, "num_channels": 4, "head_channels": 2}
KINDS = {
    "mlp": ({}, (5,)),
    "board": ({"kind": "residual", "downsample": "none", "action_encoding": "board"}, (2, 3, 3)),
    "images": ({"kind": "residual", "num_blocks": 0}, (2, 24, 24)),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request):
    fields, shape = request.param
    torch.manual_seed(0)
    made = Model(NetworkConfig(**SIZES, **fields, chance_codes=CODES), shape, ACTIONS, training_heads=True)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def state_of(model, rows):
    return model.represent(torch.rand(rows, *model.observation_shape, generator=torch.Generator().manual_seed(1)))


def test_policy_has_a_place_for_each_action_and_then_for_each_code(model):
    root = model.initial_inference(torch.rand(2, *model.observation_shape))
    assert root.policy_logits_BA.shape == (2, ACTIONS + CODES) == (2, model.num_places)
    child = model.recurrent_inference(root.hidden_state, torch.tensor([1, ACTIONS + 2]))
    assert child.policy_logits_BA.shape == (2, ACTIONS + CODES)


@torch.no_grad()
def test_a_batch_of_actions_and_codes_is_what_each_kinds_function_says(model):
    choice_B = torch.tensor([0, ACTIONS + 3, 2, ACTIONS, ACTIONS + 1], dtype=torch.int32)
    state, dynamics = state_of(model, len(choice_B)), model.dynamics
    rewards, after = dynamics(state, choice_B)
    for row, choice in enumerate(choice_B.tolist()):
        one = state[row : row + 1]
        if choice < ACTIONS:
            _, expected = dynamics.of_actions(one, torch.tensor([choice]))
        else:
            reward, expected = dynamics.of_codes(one, torch.eye(CODES)[[choice - ACTIONS]])
            torch.testing.assert_close(rewards[row : row + 1], reward)
        torch.testing.assert_close(after[row : row + 1], expected)


def test_every_action_and_every_code_leads_elsewhere(model):
    state = state_of(model, 1).expand(ACTIONS + CODES, *model.state_shape)
    _, after = model.step(state, torch.arange(ACTIONS + CODES))
    assert len(torch.unique(after.detach().flatten(1).round(decimals=4), dim=0)) == ACTIONS + CODES


def test_a_code_as_a_row_is_the_code_as_a_number_and_carries_a_gradient(model):
    state, row_BC = state_of(model, 2), torch.eye(CODES)[[1, 3]].requires_grad_()
    outputs, after = model.step(state, row_BC)
    numbers = model.step(state, ACTIONS + torch.tensor([1, 3]))
    torch.testing.assert_close((outputs, after), numbers)
    (gradient,) = torch.autograd.grad(after.square().sum(), row_BC)
    assert (gradient != 0).all()


def test_training_keeps_the_batch_statistics_of_actions_and_codes_apart():
    fields, shape = KINDS["board"]
    config = NetworkConfig(**SIZES, **fields, chance_codes=CODES, dynamics_norm="batch")
    model = Model(config, shape, ACTIONS).train()
    before = {name: tensor.clone() for name, tensor in model.dynamics.named_buffers()}
    model.step(state_of(model, 6), torch.arange(6, dtype=torch.int32) % ACTIONS)
    moved = {name for name, tensor in model.dynamics.named_buffers() if not torch.equal(tensor, before[name])}
    assert moved and all(name.startswith("of_actions.") for name in moved)


def test_encoder_is_the_learners_alone_and_keeps_no_statistics(model):
    others = Model(model.config, model.observation_shape, ACTIONS)
    assert others.encoder is None
    only = training_only_names(model)
    assert set(model.state_dict()) - set(others.state_dict()) == only == training_only_names(others)
    assert {name.partition(".")[0] for name in only} == {"encoder"}
    assert not list(model.encoder.buffers()) and model.encoder.training
    restore_model(others, Checkpoint(numpy_state(model), {}, {}))
    np.testing.assert_array_equal(FlatWeights(others).read(), FlatWeights(model).read())


def test_encoder_tells_outcomes_apart_before_it_has_learnt():
    """One code for all outcomes gives the losses nothing to tell them apart by."""
    used = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = Model(NetworkConfig(**SIZES, chance_codes=16), (8,), ACTIONS, training_heads=True)
        shown = torch.eye(8).repeat(8, 1)
        logits_RC = model.encoder(torch.zeros(64, 8), shown, torch.zeros(64, 2))
        used.append(len(set(logits_RC.argmax(-1).tolist())))
    assert min(used) >= 4


def test_straight_through_is_one_hot_with_the_gradient_of_the_probabilities():
    likely = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], requires_grad=True)
    row = straight_through(likely)
    torch.testing.assert_close(row.detach(), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (gradient,) = torch.autograd.grad((row * weights).sum(), likely)
    assert torch.equal(gradient, weights)


@pytest.mark.parametrize("game", [(), BOARD], ids=["mlp", "residual"])
def test_every_runtime_answers_actions_and_codes_as_the_model_does(game):
    profile = tiny_profile("network.chance_codes=3", "inference.precision=float32", *game)
    spec, model = describe_game(profile.game), shaken_model(profile, 1)
    rows = np.arange(model.num_places)
    observation_R = random_observations(sample_observation(spec), len(rows))
    with torch.no_grad():
        root = model.initial_inference(torch.from_numpy(observation_R))
        child = model.recurrent_inference(root.hidden_state, torch.from_numpy(rows.astype(np.int32)))
    for runtime in RUNTIMES:
        in_runtime = dataclasses.replace(profile, inference=dataclasses.replace(profile.inference, runtime=runtime))
        sizes = {"count": 1, "pool_rows": 2 * len(rows), "max_batch": len(rows)}
        (network,) = make_networks(in_runtime, spec, torch.device("cpu"), **sizes)
        network.load(FlatWeights(model).read())
        network.infer_roots(observation_R, rows)
        answer_RC = network.infer_children(rows, rows + len(rows), rows.astype(np.int32))
        expected_RC = torch.cat([model.reward(child)[:, None], model.value(child)[:, None], child.policy_logits_BA], 1)
        np.testing.assert_allclose(answer_RC, expected_RC, rtol=1e-3, atol=1e-3)


def test_a_model_without_codes_has_no_part_of_chance():
    model = Model(NetworkConfig(**SIZES), (5,), ACTIONS, training_heads=True)
    assert model.encoder is None and model.num_places == ACTIONS
    names = {name.partition(".")[0] for name in model.state_dict()}
    assert names == {"representation", "dynamics", "prediction"}
    assert not any("of_codes" in name or "of_actions" in name for name in model.state_dict())
