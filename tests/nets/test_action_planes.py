"""How actions enter a residual network: the network knows from the start on which cell a board's action plays."""

import pytest
import torch

from mzpipe.config import NetworkConfig, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.nets import Model
from mzpipe.nets.action_planes import BoardAction, OneHotAction, ScaledAction, first_planes

BOARD = {
    "kind": "residual",
    "downsample": "none",
    "action_encoding": "board",
    "num_channels": 8,
    "num_blocks": 1,
    "head_channels": 4,
    "head_hidden_size": 8,
    "value_support_size": 2,
    "reward_support_size": 2,
}


def test_scaled_action_is_one_constant_plane():
    planes = ScaledAction(4, (2, 3))(torch.tensor([0, 3]))
    assert planes.shape == (2, 1, 2, 3)
    assert (planes[0] == 0.25).all() and (planes[1] == 1.0).all()


def test_one_hot_actions_have_a_plane_each():
    planes = OneHotAction(3, (2, 2))(torch.tensor([2, 0], dtype=torch.int32))
    assert planes.shape == (2, 3, 2, 2)
    assert planes.amax((2, 3)).tolist() == planes.amin((2, 3)).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_one_hot_planes_are_not_weights():
    sizes = {**BOARD, "downsample": "atari", "action_encoding": "planes"}
    model = Model(NetworkConfig(**sizes), (1, 32, 32), 5)
    assert not [name for name in model.state_dict() if "action" in name]
    assert model.dynamics.mix[0].in_channels == 8 + 5


def test_small_dynamics_soon_learn_what_unordered_actions_do():
    """Rewards that alternate along the actions' numbers: easy for a plane each, hard for one scaled plane."""
    reward_A = torch.tensor([0.0, 0.0, 1.0, -1.0, 1.0, -1.0])
    shares = {}
    for encoding in ("scaled", "planes"):
        torch.manual_seed(0)
        sizes = {**BOARD, "downsample": "atari", "action_encoding": encoding, "heads": "scalar"}
        model = Model(NetworkConfig(**sizes), (1, 32, 32), 6)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        for _ in range(150):
            action_B = torch.randint(0, 6, (64,))
            error = model.reward(model.recurrent_inference(torch.rand(64, 8, 2, 2), action_B)) - reward_A[action_B]
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
        shares[encoding] = float((error.abs() < 0.5).float().mean())
    assert shares["planes"] > 0.95 > shares["scaled"]


def test_an_action_per_cell_begins_as_its_cell():
    planes = BoardAction(9, (3, 3))(torch.tensor([5]))
    assert planes.shape == (1, 1, 3, 3)
    assert planes[0, 0].nonzero().tolist() == [[1, 2]] and planes.sum() == 1.0


def test_a_pass_begins_as_an_empty_plane():
    planes = first_planes(26, (5, 5))
    assert not planes[25].any()
    assert torch.equal(planes[:25].flatten(1), torch.eye(25))


def test_an_action_per_column_begins_as_its_column():
    plane = first_planes(7, (6, 7))[3]
    assert (plane[:, 3] == 1.0).all() and plane.sum() == 6.0


def test_actions_of_any_other_numbering_begin_apart():
    planes = first_planes(50, (8, 8))
    assert planes.shape == (50, 8, 8)
    assert len({tuple(plane.flatten().tolist()) for plane in planes}) == 50


def test_planes_of_a_board_are_learnt():
    model = Model(NetworkConfig(**BOARD), (3, 3, 3), 9).train()
    with torch.no_grad():
        for head in (model.prediction.policy, model.prediction.value, model.dynamics.reward):
            head.out.weight.normal_()
    state = model.represent(torch.rand(4, 3, 3, 3))
    model.recurrent_inference(state, torch.tensor([0, 1, 2, 2])).value_logits_BM[:, 0].sum().backward()
    gradient = model.dynamics.action_plane.planes.weight.grad
    assert gradient[:3].any(dim=1).all() and not gradient[3:].any()


def test_the_action_changes_the_next_state_from_the_start():
    model = Model(NetworkConfig(**BOARD), (3, 3, 3), 9).eval()
    state = model.represent(torch.rand(1, 3, 3, 3)).repeat(9, 1, 1, 1)
    children = model.recurrent_inference(state, torch.arange(9)).hidden_state
    assert len({tuple(child.flatten().tolist()) for child in children}) == 9


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ((), "network.kind='mlp' with network.downsample='atari'"),
        (
            ("network.kind=residual", "network.downsample=atari"),
            "network.kind='residual' with network.downsample='atari'",
        ),
    ],
)
def test_planes_of_a_board_are_refused_where_there_are_no_cells(overrides, text):
    with pytest.raises(ConfigError) as caught:
        parse_profile("", ("network.action_encoding=board", "stop.learner_steps=1", *overrides))
    assert text in str(caught.value)
