"""Reconstruction: its loss against a plain twin, whom its gradient reaches, what it teaches, where it is refused."""

import pytest
import torch

from mzpipe.config import NetworkConfig, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.learner.loss import muzero_loss
from mzpipe.nets import Model
from tests.learner.batches import NUM_ACTIONS, SUPPORT, UNROLL, make_batch, make_model, with_mask, with_observations

BOARD = {
    "kind": "residual",
    "downsample": "none",
    "num_channels": 4,
    "head_channels": 2,
    "value_support_size": SUPPORT,
    "reward_support_size": SUPPORT,
}


def make_board_model():
    torch.manual_seed(0)
    return Model(NetworkConfig(reconstruction=True, **BOARD), (2, 3, 4), NUM_ACTIONS, training_heads=True)


def batch_of(model):
    batch = make_batch()
    if model.config.kind == "residual":
        generator = torch.Generator().manual_seed(3)
        batch = batch._replace(frame_BF=torch.rand(len(batch.weight_B), 1, 2, 3, 4, generator=generator))
    return with_mask(with_observations(batch), [4, 4, 0, 2, 1, 3])


@pytest.fixture(params=["vector", "board"])
def model(request):
    made = make_model(reconstruction=True) if request.param == "vector" else make_board_model()
    return made.eval()


def test_loss_is_the_summed_squared_error_of_what_every_stored_observation_is_read_as(model):
    batch = batch_of(model)._replace(weight_B=torch.tensor([1.0, 0.5, 2.0, 1.0, 1.0, 0.25]))
    expected = 0.0
    with torch.no_grad():
        for b in range(len(batch.weight_B)):
            state = model.represent(batch.observation[b : b + 1])
            for k in range(UNROLL + 1):
                if k > 0:
                    _, state = model.step(state, batch.action_BK[b : b + 1, k - 1])
                    if batch.observation_mask_BK[b, k - 1] == 0:
                        continue
                error = float((model.decoder(state)[0] - batch.frame_BF[b, k]).square().sum())
                expected += float(batch.weight_B[b]) * (1.0 if k == 0 else 1.0 / UNROLL) * error
    losses = muzero_loss(model, batch, value_loss_weight=0.25, reconstruction_loss_weight=0.5)
    assert losses.reconstruction.item() == pytest.approx(expected / len(batch.weight_B), rel=1e-5)
    others = muzero_loss(model, batch, value_loss_weight=0.25)
    assert (losses.total - others.total).item() == pytest.approx(0.5 * losses.reconstruction.item(), rel=1e-4)


def test_what_is_not_stored_does_not_count(model):
    batch = batch_of(model)
    before = muzero_loss(model, batch, value_loss_weight=0.25).reconstruction
    batch.frame_BF[:, 1:][batch.observation_mask_BK == 0] = 100.0
    assert torch.equal(muzero_loss(model, batch, value_loss_weight=0.25).reconstruction, before)


def test_gradient_reaches_representation_dynamics_and_decoder(model):
    loss = muzero_loss(model, batch_of(model), value_loss_weight=0.0, reconstruction_loss_weight=1.0)
    (loss.total - muzero_loss(model, batch_of(model), value_loss_weight=0.0).total).backward()
    for part in (model.representation, model.dynamics, model.decoder):
        assert any(each.grad is not None and (each.grad != 0.0).any() for each in part.parameters())
    assert all(each.grad is None or (each.grad == 0.0).all() for each in model.prediction.parameters())


def test_model_learns_what_actions_do_without_any_value_that_tells():
    """The action says which number of the observation becomes 1; no target depends on it."""
    torch.manual_seed(0)
    config = NetworkConfig(hidden_size=32, reconstruction=True, value_support_size=SUPPORT, reward_support_size=SUPPORT)
    model = Model(config, (5,), NUM_ACTIONS, training_heads=True).train()
    batch = make_batch(batch_size=64, num_unroll_steps=1)
    after = batch.frame_BF.clone()
    after[torch.arange(64), 0, batch.action_BK[:, 0].long()] = 1.0
    batch = batch._replace(frame_BF=torch.cat([batch.frame_BF, after], 1), observation_mask_BK=torch.ones(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(400):
        optimizer.zero_grad()
        muzero_loss(model, batch, value_loss_weight=0.25, reconstruction_loss_weight=1.0).total.backward()
        optimizer.step()
    with torch.no_grad():
        state = model.represent(batch.observation)
        for action in range(NUM_ACTIONS):
            _, following = model.step(state, torch.full((64,), action))
            assert (model.decoder(following)[:, action] - 1.0).abs().mean() < 0.2  # 1 where nothing is learnt


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            '[network]\nkind = "residual"\nreconstruction = true',
            "network.reconstruction=true: network.downsample='atari'",
        ),
        ("[learner]\nreconstruction_loss_weight = 2.0", "network.reconstruction=false has no reconstruction loss"),
        ('[network]\nkind = "some:Net"\nreconstruction = true', "network.reconstruction=true: network.kind='some:Net'"),
    ],
)
def test_profiles_without_a_decoder_refuse_it(lines, text):
    with pytest.raises(ConfigError, match=text):
        parse_profile(f'[game]\nname = "CartPole-v1"\n{lines}\n[stop]\nminutes = 1\n')
