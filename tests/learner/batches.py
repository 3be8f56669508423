"""Hand-made training batches."""

import torch

from mzpipe.config import NetworkConfig
from mzpipe.learner.loss import Batch
from mzpipe.nets import Model

NUM_ACTIONS, UNROLL, SUPPORT = 3, 4, 6


def make_model(seed=0, **changes):
    torch.manual_seed(seed)
    fields = {"hidden_size": 32, "value_support_size": SUPPORT, "reward_support_size": SUPPORT, **changes}
    return Model(NetworkConfig(**fields), (5,), NUM_ACTIONS, training_heads=True)


def make_image_model(shape, **changes):
    """A small residual model of images of this shape, with a consistency head."""
    torch.manual_seed(0)
    config = NetworkConfig(
        kind="residual",
        num_channels=4,
        head_channels=2,
        value_support_size=SUPPORT,
        reward_support_size=SUPPORT,
        consistency=True,
        consistency_projection_size=6,
        consistency_hidden_size=4,
        **changes,
    )
    return Model(config, shape, NUM_ACTIONS, training_heads=True).train()


def with_observations(batch, seed=7):
    """The batch as a model with consistency takes it, with no observation masked."""
    generator = torch.Generator().manual_seed(seed)
    shape = (*batch.action_BK.shape, *batch.frame_BF.shape[2:])
    return with_frames(batch, torch.rand(shape, generator=generator) * 2 - 1)


def with_frames(batch, following_BK):
    """The batch with these frames after its actions, none of them masked."""
    return batch._replace(
        frame_BF=torch.cat([batch.frame_BF, following_BK], 1), observation_mask_BK=torch.ones(batch.action_BK.shape)
    )


def with_mask(batch, stored_B):
    """The batch with only the first `stored` frames after the actions of each unroll; the others are zeros."""
    mask_BK = (torch.arange(batch.action_BK.shape[1]) < torch.as_tensor(stored_B)[:, None]).float()
    batch.frame_BF[:, batch.frame_stack :][mask_BK == 0] = 0
    return batch._replace(observation_mask_BK=mask_BK)


def in_float64(batch):
    """The batch with every number in float64."""
    return batch._replace(
        **{
            name: value.double()
            for name, value in batch._asdict().items()
            if value is not None and value.is_floating_point()
        }
    )


def make_batch(batch_size=6, seed=0, num_unroll_steps=UNROLL):
    """Random targets inside the support, every mask set."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    return Batch(
        frame_BF=(uniform(batch_size, 5) * 2 - 1)[:, None],
        action_BK=torch.randint(0, NUM_ACTIONS, (batch_size, num_unroll_steps), generator=generator, dtype=torch.int32),
        value_target_BK1=uniform(batch_size, num_unroll_steps + 1) * 20 - 10,
        value_mask_BK1=torch.ones(batch_size, num_unroll_steps + 1),
        reward_target_BK=uniform(batch_size, num_unroll_steps) * 4 - 2,
        reward_mask_BK=torch.ones(batch_size, num_unroll_steps),
        policy_target_BK1A=torch.softmax(3 * uniform(batch_size, num_unroll_steps + 1, NUM_ACTIONS), -1),
        policy_mask_BK1=torch.ones(batch_size, num_unroll_steps + 1),
        weight_B=torch.ones(batch_size),
    )
