"""Batches of images that are almost constant, as Atari's are: a ball on a still picture, whose column is the value."""

import numpy as np
import torch

from mzpipe.config import NetworkConfig
from mzpipe.learner.loss import Batch
from mzpipe.nets import Model

BATCH, STEPS, NUM_ACTIONS, SIDE = 32, 2, 3, 32
BALL, BORDER = 3, 4


def still_frames_model(seed=0, **changes):
    torch.manual_seed(seed)
    sizes = {"num_channels": 8, "downsample_blocks": (0, 0, 0), "head_channels": 4, "head_hidden_size": 16}
    supports = {"value_support_size": 5, "reward_support_size": 2}
    return Model(NetworkConfig(kind="residual", **sizes, **supports, **changes), (1, SIDE, SIDE), NUM_ACTIONS)


def still_frames(rng):
    """One batch."""
    image = np.full((BATCH, 1, SIDE, SIDE), 100, np.uint8)
    image[:, :, :BORDER] = 220
    row_B, column_B = rng.integers(BORDER, SIDE - BALL, BATCH), rng.integers(0, SIDE - BALL, BATCH)
    for picture, row, column in zip(image, row_B, column_B, strict=True):
        picture[0, row : row + BALL, column : column + BALL] = 240
    value_B = torch.from_numpy((2.0 * column_B / (SIDE - BALL) - 1.0).astype(np.float32))
    ones = torch.ones(BATCH, STEPS + 1)
    return Batch(
        frame_BF=torch.from_numpy(image[:, None]),
        action_BK=torch.from_numpy(rng.integers(0, NUM_ACTIONS, (BATCH, STEPS)).astype(np.int32)),
        value_target_BK1=value_B[:, None] * ones,
        value_mask_BK1=ones,
        reward_target_BK=torch.zeros(BATCH, STEPS),
        reward_mask_BK=ones[:, 1:],
        policy_target_BK1A=torch.full((BATCH, STEPS + 1, NUM_ACTIONS), 1.0 / NUM_ACTIONS),
        policy_mask_BK1=ones,
        weight_B=torch.ones(BATCH),
    )
