"""Hand-made training batches."""

import torch

from mzpipe.config import NetworkConfig
from mzpipe.learner.loss import Batch
from mzpipe.nets import Model

NUM_ACTIONS, UNROLL, SUPPORT = 3, 4, 6


def make_model(seed=0, **changes):
    torch.manual_seed(seed)
    config = NetworkConfig(hidden_size=32, value_support_size=SUPPORT, reward_support_size=SUPPORT, **changes)
    return Model(config, (5,), NUM_ACTIONS)


def make_batch(batch_size=6, seed=0):
    """Random targets inside the support, every mask set."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    return Batch(
        observation=uniform(batch_size, 5) * 2 - 1,
        action_BK=torch.randint(0, NUM_ACTIONS, (batch_size, UNROLL), generator=generator, dtype=torch.int32),
        value_target_BK1=uniform(batch_size, UNROLL + 1) * 20 - 10,
        value_mask_BK1=torch.ones(batch_size, UNROLL + 1),
        reward_target_BK=uniform(batch_size, UNROLL) * 4 - 2,
        reward_mask_BK=torch.ones(batch_size, UNROLL),
        policy_target_BK1A=torch.softmax(3 * uniform(batch_size, UNROLL + 1, NUM_ACTIONS), -1),
        policy_mask_BK1=torch.ones(batch_size, UNROLL + 1),
        weight_B=torch.ones(batch_size),
    )
