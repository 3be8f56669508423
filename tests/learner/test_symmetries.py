"""Symmetries in training: what is turned, against a plain twin; an equivariant network's loss; when it is turned."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from mzpipe.config import LearnerConfig
from mzpipe.games import Symmetry
from mzpipe.games.symmetries import SQUARE, board_symmetries
from mzpipe.learner.loss import Batch, LossFunction, muzero_loss
from mzpipe.learner.symmetries import Symmetries
from tests.learner.batches import make_batch, make_model
from tests.naive.symmetries import turned_batch

SIDE, PLANES, B, K = 3, 2, 16, 4
CELLS, ACTIONS = SIDE * SIDE, SIDE * SIDE + 1  # the last one passes
BOARD = board_symmetries(SQUARE, SIDE, SIDE, ACTIONS)
# Of a vector of five numbers and three actions.
LINE = [Symmetry((4, 3, 2, 1, 0), (2, 1, 0))]


def board_batch(stack=2, seed=3):
    """Random positions of a board, with the frames after their actions."""
    rng = np.random.default_rng(seed)
    return Batch(
        frame_BF=torch.tensor(rng.integers(0, 256, (B, stack + K, PLANES, SIDE, SIDE)), dtype=torch.uint8),
        action_BK=torch.tensor(rng.integers(0, ACTIONS, (B, K)), dtype=torch.int32),
        value_target_BK1=torch.tensor(rng.normal(size=(B, K + 1))),
        value_mask_BK1=torch.ones(B, K + 1),
        reward_target_BK=torch.tensor(rng.normal(size=(B, K))),
        reward_mask_BK=torch.ones(B, K),
        policy_target_BK1A=torch.tensor(rng.dirichlet(np.ones(ACTIONS), (B, K + 1))),
        policy_mask_BK1=torch.ones(B, K + 1),
        weight_B=torch.ones(B),
        observation_mask_BK=torch.ones(B, K),
    )


class Equivariant(nn.Module):
    """A network of the board that turns with it: one weight for all cells."""

    value_prefix = consistency = decoder = encoder = sampler = value_bins = reward_bins = None

    def observe(self, observation):
        return observation.double() / 255

    def represent_observed(self, observed):
        return observed.flatten(2)

    def step(self, state, action_B):
        played = torch.eye(ACTIONS)[action_B.long()][:, None, :CELLS]
        return (state * played).sum((1, 2))[:, None], 0.7 * state + played

    def prediction(self, state):
        cells = state[:, 0] - 0.5 * state[:, 1] ** 2
        return torch.cat([cells, cells.mean(1, keepdim=True)], 1), state[:, :1].sum(2)


def losses(batch):
    model = Equivariant()
    return [float(loss) for loss in muzero_loss(model, batch, value_loss_weight=0.5)[:4]]


@pytest.mark.parametrize("stack", [1, 3])
def test_a_turned_batch_is_that_of_the_plain_twin(stack):
    batch, turn = board_batch(stack), Symmetries(BOARD)
    symmetry_B = torch.arange(B) % 8
    found = turn.turned(batch, symmetry_B)
    parts = (batch.frame_BF.numpy(), batch.action_BK.numpy(), batch.policy_target_BK1A.numpy())
    expected = turned_batch(*parts, BOARD, symmetry_B.tolist())
    for each, wanted in zip((found.frame_BF, found.action_BK, found.policy_target_BK1A), expected, strict=True):
        np.testing.assert_array_equal(each.numpy(), wanted)
        assert each.numpy().dtype == wanted.dtype
    others = set(Batch._fields) - {"frame_BF", "action_BK", "policy_target_BK1A"}
    assert all(getattr(found, name) is getattr(batch, name) for name in others)


@pytest.mark.parametrize("number", range(1, 8))
def test_the_loss_of_a_turned_batch_is_the_same_when_the_network_turns_too(number):
    batch = board_batch()
    turned = Symmetries(BOARD).turned(batch, torch.full((B,), number))
    assert losses(turned) == pytest.approx(losses(batch), rel=1e-12)
    for name in ("frame_BF", "action_BK", "policy_target_BK1A"):  # and none of its parts could have stayed
        half_turned = batch._replace(**{name: getattr(turned, name)})
        assert losses(half_turned) != pytest.approx(losses(batch), rel=1e-6), name


def test_numbers_of_a_vector_are_turned_like_places():
    batch, turn = make_batch(), Symmetries(LINE)
    turned = turn.turned(batch, torch.tensor([0, 1, 1, 1, 1, 1]))
    assert torch.equal(turned.frame_BF[0], batch.frame_BF[0])
    assert torch.equal(turned.frame_BF[1:], batch.frame_BF[1:].flip(-1))
    assert torch.equal(turned.action_BK[1:], 2 - batch.action_BK[1:])


def test_every_symmetry_is_drawn_alike_for_each_sample():
    torch.manual_seed(0)
    drawn = Symmetries(BOARD).draw(4_000).numpy()
    assert chisquare(np.bincount(drawn, minlength=8)).pvalue > 1e-3


def test_only_training_steps_turn_their_samples(monkeypatch):
    model, batch, symmetries = make_model(), make_batch(), LINE
    symmetry_B = torch.tensor([1, 0, 1, 1, 0, 1])
    monkeypatch.setattr(Symmetries, "draw", lambda turn, num_samples: symmetry_B[:num_samples])
    plain, turning = LossFunction(model, LearnerConfig()), LossFunction(model, LearnerConfig(), symmetries)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    expected = plain(Symmetries(symmetries).turned(batch, symmetry_B)).total
    assert turning(batch).total == expected != plain(batch).total
    model.eval()
    assert turning(batch).total == plain(batch).total


def test_a_loss_without_symmetries_draws_nothing():
    loss, batch = LossFunction(make_model(), LearnerConfig()), make_batch()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    loss(batch)
    assert torch.equal(torch.get_rng_state(), before)
