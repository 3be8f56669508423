"""How actions enter a residual network: the network knows from the start on which cell a board's action plays."""

import pytest
import torch

from mzpipe.config import NetworkConfig, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.nets import Model
from mzpipe.nets.action_planes import BoardAction, ScaledAction, first_planes

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
