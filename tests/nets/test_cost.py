"""Operations of an inference: counted by hand for small networks."""

from itertools import pairwise

import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import Model
from mzpipe.nets.cost import inference_flops

HIDDEN, ACTIONS, VALUE, REWARD, LSTM = 8, 3, 5, 7, 4
SUPPORTS = {"value_support_size": 2, "reward_support_size": 3}


def linear(*sizes):
    return sum(2 * size_in * size_out for size_in, size_out in pairwise(sizes))


def convolution(channels_in, channels_out, cells, kernel=9):
    return 2 * channels_in * channels_out * kernel * cells


def block(channels, cells):
    return 2 * convolution(channels, channels, cells)


def head(channels, cells, outputs):
    return convolution(channels, 2, cells, kernel=1) + linear(2 * cells, 6, outputs)


def counted(config, shape, device):
    with torch.device(device):
        model = Model(NetworkConfig(**SUPPORTS, **config), shape, ACTIONS)
        return inference_flops(model, torch.zeros(1, *shape))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_mlp(device):
    predict = linear(HIDDEN, HIDDEN, ACTIONS) + linear(HIDDEN, VALUE)
    found = counted({"hidden_size": HIDDEN}, (5,), device)
    assert found.root == linear(5, HIDDEN, HIDDEN) + predict
    assert found.recurrent == linear(HIDDEN, HIDDEN, HIDDEN) + linear(HIDDEN, REWARD) + predict


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_board_with_value_prefix(device):
    cells, channels = 12, 6
    config = {"num_channels": channels, "head_channels": 2, "head_hidden_size": 6, "lstm_size": LSTM}
    found = counted({"kind": "residual", "downsample": "none", "value_prefix": True, **config}, (3, 3, 4), device)
    predict = block(channels, cells) + head(channels, cells, ACTIONS) + head(channels, cells, VALUE)
    features = convolution(channels, 2, cells, kernel=1)
    prefix = linear(2 * cells, 4 * LSTM) + linear(LSTM, 4 * LSTM) + linear(LSTM, 6, REWARD)
    dynamics = convolution(channels + 1, channels, cells) + block(channels, cells)
    assert found.root == convolution(3, channels, cells) + block(channels, cells) + predict
    assert found.recurrent == dynamics + features + prefix + predict
